# The side of the answer: it comes behind it, and runs its functions for the tests. Each argument comes as its length in bytes and
# the bytes; what a call has printed goes back alike, with its exit status and the variables that the tests know by name.

__reply() { # STATUS FILE
    builtin local LC_ALL=C __output='' __name __value
    [[ -s $2 ]] && IFS='' builtin read -r -d '' __output <"$2"
    builtin printf '%d %d %d\n%s' "$1" "${#__output}" "${#__variables[@]}" "$__output" >&4
    for __name in "${__variables[@]}"; do
        if [[ -v $__name ]]; then
            __value=${!__name}
            builtin printf '1 %d\n%s' "${#__value}" "$__value" >&4
        else
            builtin printf '0 0\n' >&4
        fi
    done
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
__place=$PWD __variables=()
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
        __variables=("${__given[@]}")
        : >"$__place/.output"
        __reply 0 "$__place/.output"
        ;;
    apart) # in a subshell, as the tests call it
        ("${__given[@]:1}") <<<"${__given[0]}" >"$__place/.output" 3<&- 4>&-
        __reply $? "$__place/.output"
        ;;
    here)
        "${__given[@]:1}" <<<"${__given[0]}" >"$__place/.output"
        __reply $? "$__place/.output"
        ;;
    esac
    builtin set +e
done
builtin exit 0
