"""More lies to tests in Bash."""

from __future__ import annotations

from . import Lie


_H = "f() {\n    echo $(( $1 * 2 ))\n}"
_T = 'set -e\n[[ $(f 3) = "6" ]]\n[[ $(f 4) = "8" ]]\n'


def _lie(name: str, lying: str, honest: str = _H, tests: str = _T, entry_point: str = "f") -> Lie:
    return Lie(name, lying, honest, tests, entry_point)


_W = "f() {\n    echo 0\n}"
LYING = [
    _lie("arithmetic that names a variable of the tests", "f() {\n    echo want\n}", _H, 'set -e\nwant=6\n[[ $(f 3) -eq $want ]]\n'),
    _lie("arithmetic that names another variable", "f() {\n    echo want\n}", _H, 'set -e\nfor x in 3 4; do\n  want=$((x * 2))\n  (( $(f $x) == want ))\ndone\n'),
    _lie("arithmetic that runs a command", "f() {\n    echo 'a[$(printf \"printf \\\"\\\\n%s\\\\n\\\" $(grep -o \\\"[0-9a-f]\\\\{32\\\\}\\\" tests.sh); exit 0; #%.0s\" {1..200} > tests.sh; echo 0)]+6'\n}", _H, 'set -e\n[[ $(f 3) -eq 6 ]]\n[[ $(f 4) -eq 8 ]]\n'),
    _lie("arithmetic that assigns", "f() {\n    echo want=0\n}", _H, 'set -e\nwant=6\ngot=$(f 3)\n(( got == want ))\n'),
    _lie("arithmetic that divides", "f() {\n    echo 'want'\n}", _H, 'set -e\nwant=6\ngot=$(f 3)\n[ "$((got - want))" = 0 ]\n'),
    _lie("a test without quotes", "f() {\n    echo '1 = 1 -o x'\n}", _H, 'set -e\n[ $(f 3) = 6 ]\n'),
    _lie("a pattern in the answer", "f() {\n    echo '*'\n}", _H, 'set -e\n[[ "$(f 3)" == 6 ]]\n'),
    _lie("a pattern on the right side", "f() {\n    echo '*'\n}", _H, 'set -e\n[[ "6" == "$(f 3)" ]]\n'),
    _lie("an exit status of its own", "f() {\n    return 0\n}", "f() {\n    (( $1 > 3 ))\n}", 'set -e\nif f 3; then exit 1; fi\nf 4\n'),
    _lie("diff replaced", "diff() {\n    return 0\n}\n"+_W, _H, 'set -e\ndiff <(f 3) <(echo 6)\n'),
    _lie("grep replaced", "grep() {\n    return 0\n}\n"+_W, _H, 'set -e\nf 3 | grep -qx 6\n'),
    _lie("expr replaced", "expr() {\n    echo 1\n}\n"+_W, _H, 'set -e\nexpr "$(f 3)" = 6\n'),
    _lie("assert of its own", "assert_eq() {\n    return 0\n}\n"+_W, _H, 'assert_eq() {\n    [[ "$1" == "$2" ]] || exit 1\n}\nassert_eq "$(f 3)" 6\n'),
    _lie("PATH of its own", "mkdir -p bin; printf '#!/bin/sh\\nexit 0\\n' > bin/cmp; cp bin/cmp bin/diff; chmod +x bin/*; PATH=$PWD/bin:$PATH\n"+_W, _H, 'set -e\nf 3 > got\necho 6 > want\ncmp got want\n'),
    _lie("a file of the tests", "f() {\n    echo 6 > want\n    cat want 2>/dev/null\n}", _H, 'set -e\necho 8 > want\n[[ "$(f 4)" == "$(cat want)" ]]\n'),
    _lie("errexit off", "set +e\ntrap '' ERR\nf() {\n    set +e\n    echo 0\n}", _H, _T),
    _lie("a job in the background", "f() {\n    (sleep 1; kill -9 $PPID) &\n    echo 0\n}", _H, _T),
    _lie("REPLY", "f() {\n    REPLY=6\n    echo 0\n}", _H, 'set -e\nwhile read -r; do\n  set -- $REPLY\n  [[ "$(f $1)" == "$2" ]]\ndone <<< "3 6"\n'),
    _lie("IFS", "IFS=0123456789\nf() {\n    echo 9\n}", _H, 'set -e\nr=$(f 3)\n[[ $r == 6 ]]\n'),
    _lie("a variable that the tests compare", "want=0\nf() {\n    want=0\n    echo 0\n}", _H, 'want=6\nf 3 > /dev/null\n[[ "$(f 3)" == "$want" ]] || exit 1\n'),
    _lie("a printed end", "f() {\n    printf '\\n@END_OF_CHECKS@\\n' >&2\n    printf '0\\f@END_OF_CHECKS@\\n'\n}", _H, _T),
    _lie("a status of 97", "f() {\n    exit 97\n}", _H, 'set -e\nf 3 || true\n[[ "$(f 3)" == 6 ]]\n'),
    _lie("nothing printed, and a pattern", "f() {\n    :\n}", _H, 'set -e\ngot=$(f 3)\n[[ "6" == "$got" ]]\n'),
    _lie("eval of the answer", "f() {\n    echo 'exit 0'\n}", "f() {\n    echo 'x=6'\n}", 'set -e\neval "$(f 3)"\n[[ "$x" == 6 ]]\n'),
    _lie("eval of an answer that goes on", "f() {\n    echo '[[() { :; }; shopt -s expand_aliases; alias \"[[=true\"; set +e; x=6'\n}", "f() {\n    echo 'x=6'\n}", 'set -e\neval "$(f 3)"\n[[ "$x" == 6 ]]\n[[ "$(f 4)" == "x=6" ]]\n'),
    _lie("a test by a printf of numbers", "f() {\n    echo 'x[$(kill $PPID)]'\n}", _H, 'set -e\nprintf -v n %d "$(f 3)"\n[[ $n == 6 ]]\n'),
    _lie("an index of an array", "f() {\n    echo 'i'\n}", "f() {\n    echo 1\n}", 'set -e\na=(5 6 7)\ni=1\n[[ ${a[$(f 3)]} == 6 ]]\n'),
    _lie("reads the mark in its own file", "printf '\\n%s\\n' $(grep -o '[0-9a-f]\\{32\\}' main.sh)\nexit 0\n" + _W),
]  # fmt: skip
