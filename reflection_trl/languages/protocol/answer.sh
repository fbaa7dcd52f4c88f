# The side of the answer: it comes behind it, and runs its functions for the tests. Each argument comes as its length in bytes and
# the bytes; what a call has printed goes back alike, with its exit status and the variables that the tests know by name.

__reply() { # STATUS
    builtin local LC_ALL=C __output __part __name __declared __key
    builtin printf '%d %d\n' "$1" "${#__variables[@]}" >&4
    for __name in .output .errors; do
        __output='' __part=''
        if [[ -s $__place/$__name ]]; then # without null bytes, as in a command substitution
            while IFS='' builtin read -r -d '' __part; do __output+=$__part; done <"$__place/$__name"
            __output+=$__part
        fi
        builtin printf '%d\n%s' "${#__output}" "$__output" >&4
    done
    for __name in "${__variables[@]}"; do
        __declared=$(builtin declare -p "$__name" 2>/dev/null)
        if [[ $__declared == 'declare -'[aA]* ]]; then
            builtin local -n __value=$__name
            [[ $__declared == 'declare -a'* ]] && builtin printf '2 %d\n' "${#__value[@]}" >&4 || builtin printf '3 %d\n' "${#__value[@]}" >&4
            for __key in "${!__value[@]}"; do
                builtin printf '%d\n%s%d\n%s' "${#__key}" "$__key" "${#__value[$__key]}" "${__value[$__key]}" >&4
            done
            builtin unset -n __value
        elif [[ -v $__name ]]; then
            __output=${!__name}
            builtin printf '1 0\n%d\n%s' "${#__output}" "$__output" >&4
        else
            builtin printf '0 0\n' >&4
        fi
    done
}

__call() { # COMMAND ARGUMENTS...: with its errors where the tests read them
    if [[ $__hears ]]; then
        "$@" 2>"$__place/.errors"
    else
        "$@"
    fi
}

__arguments() { # COUNT
    builtin local LC_ALL=C __length __value
    __given=()
    while ((${#__given[@]} < $1)); do
        builtin read -r __length <&3 || builtin exit 0
        __value=''
        ((__length)) && { IFS='' builtin read -r -N "$__length" __value <&3 || builtin exit 0; }
        __given+=("$__value")
    done
}

builtin set +e
__place=$PWD __variables=() __hears=''
while builtin read -r __operation __count <&3; do
    __arguments "$__count"
    case $__operation in
    names)
        __found=()
        for __name in "${__given[@]}"; do
            builtin declare -F -- "$__name" >/dev/null && __found+=("$__name")
        done
        builtin printf '%s\n' "${__found[*]}" >&4
        ;;
    variables)
        __hears=${__given[0]} __variables=("${__given[@]:1}")
        : >"$__place/.output" >"$__place/.errors"
        __reply 0
        ;;
    apart) # in a subshell, as the tests call it
        (__call "${__given[@]:1}") <<<"${__given[0]}" >"$__place/.output" 3<&- 4>&-
        __reply $?
        ;;
    here)
        __call "${__given[@]:1}" <<<"${__given[0]}" >"$__place/.output"
        __reply $?
        ;;
    esac
    builtin set +e
done
builtin exit 0
