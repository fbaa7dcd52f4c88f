# The side of the tests: defines a function for each one of the answer that the tests name, and asks the answer's side to run it.
# `source judge.sh ENTRY EVALUATED VARIABLES... -- NAMES...`, where EVALUATED says how the tests use output: n as numbers, w as words, or -

__gone=$PWD/.gone __refused=$PWD/.refused
trap '[[ ! -e $__gone ]] || exit 97; [[ ! -e $__refused ]] || exit 1' EXIT

__end() {
    : >"$__gone"
    exit 97
}

__is_evaluated() { # OUTPUT: whether the tests would run it, or take it for a name or an operator of theirs
    local name
    if [[ $__evaluated == *n* ]]; then
        [[ $1 != *'$('* && $1 != *'`'* && $1 != *'${'* ]] || return 0
        # Names with operators between them
        if [[ $1 =~ ^[^A-Za-z0-9_]*[A-Za-z0-9_]+([^A-Za-z0-9_]*[]+*/%\<\>=!\&|^?:,\(\)[-][^A-Za-z0-9_]*[A-Za-z0-9_]+)*[^A-Za-z0-9_]*$ ]]; then
            for name in ${1//[!A-Za-z0-9_]/ }; do
                [[ ! $name =~ ^[A-Za-z_] || ! -v $name ]] || return 0
            done
        fi
    fi
    [[ $__evaluated == *w* && " ${1//$'\n'/ } " =~ ' '(-[oa]|-[gln][et]|-eq|=|==|!=|!)' ' ]]
}

__ask() { # OPERATION ARGUMENTS...
    local LC_ALL=C operation=$1
    shift
    {
        printf '%s %d\n' "$operation" $#
        (($# == 0)) || for argument in "$@"; do printf '%d\n%s' "${#argument}" "$argument"; done
    } >&4 2>/dev/null || __end
}

__answer() { # prints what the call has printed, and returns its status
    local LC_ALL=C status length count output='' name set value
    read -r status length count <&3 || __end
    [[ $status =~ ^[0-9]{1,3}$ && $length =~ ^[0-9]{1,9}$ && $count == "${#__variables[@]}" ]] || __end
    ((length == 0)) || IFS='' read -r -N "$length" output <&3 || __end
    for name in "${__variables[@]}"; do
        read -r set length <&3 || __end
        [[ $set =~ ^[01]$ && $length =~ ^[0-9]{1,9}$ ]] || __end
        value=''
        ((length == 0)) || IFS='' read -r -N "$length" value <&3 || __end
        [[ $set == 1 ]] && printf -v "$name" %s "$value"
    done
    if __is_evaluated "$output"; then
        printf 'The answer printed an expression where the tests evaluate what it prints: %s\n' "${output:0:200}" >&2
        : >"$__refused"
        return 1
    fi
    printf %s "$output"
    return "$status"
}

__run() { # NAME ARGUMENTS...
    local input='' how=here
    [[ -p /dev/stdin || -f /dev/stdin ]] && IFS='' read -r -d '' input
    ((BASH_SUBSHELL == 0)) || how=apart
    __ask "$how" "${input%$'\n'}" "$@"
    __answer
}

__variables=() __entry=$1 __evaluated=$2
shift 2
trap '' PIPE
while [[ $1 != -- ]]; do
    [[ -v $1 || $1 =~ ^(BASH|LC_|LANG|LD_|POSIX|GLOB|EXEC|PROMPT|TIME|CDPATH|ENV|_) ]] || __variables+=("$1")
    shift
done
shift
__ask variables "${__variables[@]}"
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
