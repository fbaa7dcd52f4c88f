# The side of the tests: defines a function for each one of the answer that the tests name, and asks the answer's side to run it.
# `source judge.sh ENTRY EVALUATED VARIABLES... -- NAMES...`, where EVALUATED says how the tests use output: n as numbers, w as words,
# the letters of bash_uses.py, i where they give the answer something to read, e where they read what it reports; or -

__place=$PWD __gone=$PWD/.gone __refused=$PWD/.refused
trap '[[ ! -e $__gone ]] || exit 97; [[ ! -e $__refused ]] || exit 1' EXIT

__end() {
    : >"$__gone"
    exit 97
}

__is_evaluated() { # OUTPUT: whether the tests would run it, or take it for a name or an operator of theirs
    local __word
    if [[ $__evaluated == *n* ]]; then
        [[ $1 != *'$('* && $1 != *'`'* && $1 != *'${'* ]] || return 0
        # Names with operators between them
        if [[ $1 =~ ^[^A-Za-z0-9_]*[A-Za-z0-9_]+([^A-Za-z0-9_]*[]+*/%\<\>=!\&|^?:,\(\)[-][^A-Za-z0-9_]*[A-Za-z0-9_]+)*[^A-Za-z0-9_]*$ ]]; then
            for __word in ${1//[!A-Za-z0-9_]/ }; do
                [[ ! $__word =~ ^[A-Za-z_] || ! -v $__word ]] || return 0
            done
        fi
    fi
    [[ $__evaluated != *w* || ! " ${1//$'\n'/ } " =~ ' '(-[oa]|-[gln][et]|-eq|=|==|!=|!)' ' ]] || return 0
    __is_more "$1"
}

__is_more() { # OUTPUT: whether it is more than text where the tests use it
    local __line __special='[]*?.^$+(){}|\\[-]' __assigned='^((export|local|declare( -[aAx])?) )?[A-Za-z]\w*=(\([^()`$;&|<>]*\)|"[^"`$\\]*"|'"'[^']*'"'|[^][[:space:]()`$;&|<>"'"'"'\\*?{}~]*)$'
    # A command substitution drops the last line ends
    while [[ $1 == *$'\n' ]]; do set -- "${1%$'\n'}"; done
    if [[ $__evaluated == *c* && ! $1 =~ ^(true|false|:)?$ ]]; then return 0; fi
    if [[ $__evaluated == *x* && $1 =~ [^][:alnum:]_.,:+\ $'\n'-] ]] && ! __is_quoted "$1"; then return 0; fi
    if [[ $__evaluated == *f* && $1 == *[%\\]* ]] && ! __is_quoted "$1"; then return 0; fi
    if [[ $__evaluated == *p* && $1 == *[*?[\(]* ]] && ! __is_quoted "$1"; then return 0; fi
    if [[ $__evaluated == *r* && (-z $1 || $1 == *$__special*) ]] && ! __is_quoted "$1"; then return 0; fi
    [[ $__evaluated == *v* ]] || return 1
    while IFS='' read -r __line || [[ -n $__line ]]; do
        [[ $__line =~ ^[A-Za-z0-9_.+-]*$ || ($__line =~ $__assigned && ! $__line =~ (^|[[:space:]])(_|BASH|PATH|IFS|ENV|LD_|SHELL|PS4)) ]] || return 0
    done <<<"$1"
    return 1
}

__is_quoted() { # OUTPUT: whether the tests have it as a text of theirs
    local __tests
    __tests=$(<"$__place/tests.sh")
    [[ $__tests == *"'$1'"* || $__tests == *"\"$1\""* ]]
}

__ask() { # OPERATION ARGUMENTS...
    local LC_ALL=C __argument
    __operation=$1
    shift
    {
        printf '%s %d\n' "$__operation" $#
        (($# == 0)) || for __argument in "$@"; do printf '%d\n%s' "${#__argument}" "$__argument"; done
    } >&4 2>/dev/null || __end
}

__answer() { # prints what the call has printed, and returns its status
    local LC_ALL=C __status __count __printed __reported __name
    read -r __status __count <&3 || __end
    [[ $__status =~ ^[0-9]{1,3}$ && $__count == "${#__variables[@]}" ]] || __end
    __take __printed
    __take __reported
    for __name in "${__variables[@]}"; do
        __set "$__name"
    done
    [[ $__operation == variables ]] || ! __is_evaluated "$__printed" || __refuse "$__printed" || return 1
    [[ -z $__reported ]] || ! __is_evaluated "$__reported" || __refuse "$__reported" || return 1
    printf %s "$__reported" >&2
    printf %s "$__printed"
    return "$__status"
}

__take() { # NAME: reads text, by its length, into a variable
    local __length __text=''
    read -r __length <&3 || __end
    [[ $__length =~ ^[0-9]{1,9}$ ]] || __end
    ((__length == 0)) || IFS='' read -r -N "$__length" __text <&3 || __end
    printf -v "$1" %s "$__text"
}

__set() { # NAME: reads a variable of the answer: unset, a text, a list or a map
    local __kind __size __key __value
    read -r __kind __size <&3 || __end
    [[ $__kind =~ ^[0123]$ && $__size =~ ^[0-9]{1,7}$ ]] || __end
    [[ $__kind != 0 ]] || return 0
    if [[ $__kind == 1 ]]; then
        __take __value
        if __is_evaluated "$__value"; then
            __refuse "$__value"
            __value=''
        fi
        printf -v "$1" %s "$__value"
        return 0
    fi
    unset -v "$1"
    if [[ $__kind == 2 ]]; then declare -ga "$1=()"; else declare -gA "$1=()"; fi
    local -n __filled=$1
    while ((__size-- > 0)); do
        __take __key
        __take __value
        [[ $__kind == 3 || $__key =~ ^[0-9]{1,9}$ ]] || __end
        if __is_evaluated "$__value" || [[ -z $__key ]]; then
            __refuse "$__value"
            continue
        fi
        __filled[$__key]=$__value
    done
}

__refuse() { # TEXT
    printf 'The answer printed an expression where the tests evaluate what it prints: %s\n' "${1:0:200}" >&2
    : >"$__refused"
    return 1
}

__run() { # NAME ARGUMENTS...
    local __input='' __how=here
    # What the tests read themselves, as in a loop around the call, is not for the answer
    [[ $__evaluated == *i* && (-p /dev/stdin || -f /dev/stdin) ]] && IFS='' read -r -d '' __input
    ((BASH_SUBSHELL == 0)) || __how=apart
    __ask "$__how" "${__input%$'\n'}" "$@"
    __answer
}

__variables=() __entry=$1 __evaluated=$2
shift 2
trap '' PIPE
while [[ $1 != -- ]]; do
    declare -p "$1" >/dev/null 2>&1 || [[ $1 =~ ^(BASH|LC_|LANG|LD_|POSIX|GLOB|EXEC|PROMPT|TIME|CDPATH|ENV|_|IFS$|PATH$|HOME$|PWD$|OLDPWD$|OPT|RANDOM$|SECONDS$|FUNCNAME$|PIPESTATUS$|SHELL|HISTCMD$|HOSTNAME$|UID$|EUID$|PPID$|COPROC|DIRSTACK|FIGNORE|GROUPS$|IGNOREEOF|INPUTRC|MAIL|MAPFILE$|PS[0-4]$|SRANDOM$|EPOCH|TMPDIR$|TMOUT) ]] || __variables+=("$1")
    shift
done
shift
__hears=''
[[ $__evaluated == *e* ]] && __hears=1
__ask variables "$__hears" "${__variables[@]}"
unset __hears
__answer
__ask names "$@"
IFS=' ' read -r -a __names <&3 || __end
for __name in "$@"; do
    # What the shell or the system calls so is never taken from an answer
    if [[ " ${__names[*]} " == *" $__name "* && ($__name == "$__entry" || -z $(type -t -- "$__name")) ]]; then
        eval "$__name() { __run $__name \"\$@\"; }"
    fi
done
unset __name __names
set --
