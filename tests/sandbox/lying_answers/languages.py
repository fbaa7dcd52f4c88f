"""
Lies and right answers that later attacks on the judges of the languages other than Python have found.

The first table holds answers that passed though they are wrong, by language; the second, right answers that failed.
"""

from __future__ import annotations

from . import Lie, Right


LYING: dict[str, list[Lie]] = {
    "bash": [
        Lie("pattern on the right, unquoted", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\n[[ 6 == $(f 3) ]]\n", "f"),
        Lie("pattern on the right, single =", "f() { echo '?'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\n[[ 6 = $(f 3) ]]\n", "f"),
        Lie("pattern of a variable", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\ngot=$(f 3)\nwant=6\n[[ $want == $got ]]\n", "f"),
        Lie("regular expression", "f() { echo '.*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\ngot=$(f 3)\n[[ 6 =~ ^$got$ ]]\n", "f"),
        Lie("empty regular expression", "f() { :; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\n[[ 6 =~ $(f 3) ]]\n", "f"),
        Lie("case pattern", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "case 6 in $(f 3)) ;; *) exit 1 ;; esac\n", "f"),
        Lie("case pattern of a variable", "f() { echo '[0-9]'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "r=$(f 3)\ncase 6 in $r) ;; *) exit 1 ;; esac\n", "f"),
        Lie("negated pattern", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "if [[ 6 != $(f 3) ]]; then exit 1; fi\n", "f"),
        Lie("replaces", "f() { echo '?'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "want=6\ngot=$(f 3)\n[[ -z ${want/$got/} ]] || exit 1\n", "f"),
        Lie("expr pattern", "f() { echo '.*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\nexpr 6 : \"$(f 3)\" > /dev/null\n", "f"),
        Lie("grep of the answer", "f() { echo '.'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\necho 6 | grep -q \"$(f 3)\"\n", "f"),
        Lie("words to globs", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\ntouch 6\nmkdir d; cd d; touch 6\nset -- $(f 3)\n[[ $1 == 6 ]]\n", "f"),
        Lie("glob in a for", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "mkdir e; cd e; touch 6\nfor x in $(f 3); do [[ $x == 6 ]] || exit 1; done\n", "f"),
        Lie("awk program", "f() { echo '1 || 6'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\nawk \"BEGIN { exit !($(f 3) == 6) }\"\n", "f"),
        Lie("a variable of the answer that the tests compare", "result=\nf() { result='*'; }", "f() { result=$(( $1 * 2 )); }", "f 3\n[[ 6 == $result ]] || exit 1\n", "f"),
        Lie("substring offset", "f() { echo 'n'; }", "f() { echo 1; }", "n=1\ns=x6\n[[ ${s:$(f 3)} == 6 ]] || exit 1\n", "f"),
        Lie("substring length", "f() { echo 'n'; }", "f() { echo 2; }", "n=2\ns=66x\n[[ ${s:0:$(f 3)} == 66 ]] || exit 1\n", "f"),
        Lie("printf format", "f() { echo '%.0s6'; }", "f() { echo 6; }", "[[ $(printf \"$(f 3)\" x) == 6 ]] || exit 1\n", "f"),
        Lie("loop that reads the cases", "f() { echo 6; }", "f() {\n    echo $(( $1 * 2 ))\n}", "while read -r x want; do\n  [[ $(f \"$x\") == \"$want\" ]] || exit 1\ndone <<'E'\n3 6\n4 8\nE\n", "f"),
        Lie("loop over a file", "f() { echo 6; }", "f() {\n    echo $(( $1 * 2 ))\n}", "printf '3 6\\n4 8\\n' > cases\nwhile read -r x want; do\n  got=$(f \"$x\")\n  [ \"$got\" = \"$want\" ] || exit 1\ndone < cases\n", "f"),
        Lie("eval that ends the tests", "f() { cat <<'E'\nprintf '\\n%s\\n' \"$(grep -oE '[0-9a-f]{32}' tests.sh | tail -1)\"; exit 0\nE\n}", "f() { echo x=6; }", "set -e\neval \"$(f 3)\"\n[[ $x == 6 ]]\n", "f"),
        Lie("source that ends the tests", "f() { cat <<'E'\nprintf '\\n%s\\n' \"$(grep -oE '[0-9a-f]{32}' tests.sh | tail -1)\"; exit 0\nE\n}", "f() { echo x=6; }", "set -e\nsource <(f 3)\n[[ $x == 6 ]]\n", "f"),
        Lie("a command that ends the tests", "f() { echo \"exec grep -oE [0-9a-f]{32} tests.sh\"; }", "f() { if [[ $1 == 3 ]]; then echo true; else echo false; fi; }", "if ! $(f 3); then exit 1; fi\n$(f 4) && exit 1\ntrue\n", "f"),
        Lie("a command in a variable", "f() { echo \"exec grep -oE [0-9a-f]{32} tests.sh\"; }", "f() { if [[ $1 == 3 ]]; then echo true; else echo false; fi; }", "r=$(f 3)\n$r || exit 1\nr=$(f 4)\n! $r\n", "f"),
        Lie("assert helper unquoted", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "assert_eq() {\n  [[ $1 == $2 ]] || exit 1\n}\nassert_eq 6 \"$(f 3)\"\n", "f"),
        Lie("wrapper", "f() { echo '?'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "candidate() {\n  f \"$@\"\n}\n[[ 6 == $(candidate 3) ]] || exit 1\n", "f"),
        Lie("helper with a variable", "f() { echo '*'; }", "f() {\n    echo $(( $1 * 2 ))\n}", "assert_eq() {\n  local want=\"$1\" got=\"$2\"\n  [[ $want == $got ]] || exit 1\n}\nassert_eq 6 \"$(f 3)\"\n", "f"),
        Lie("helper that looks for the answer", "f() { echo '.*'; }", "f() { echo 'hello'; }", "contains() {\n  grep -q \"$2\" <<< \"$1\" || exit 1\n}\ncontains hello \"$(f 3)\"\n", "f"),
        Lie("loop with a comparison", "f() { echo 6; }", "f() {\n    echo $(( $1 * 2 ))\n}", "while read -r x want; do\n  (( $(f \"$x\") < want + 1 && $(f \"$x\") > want - 1 )) || exit 1\ndone <<'E'\n3 6\n4 8\nE\n", "f"),
    ],
    "php": [
        Lie("true under ==", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "if (f(3) != 6) { throw new Exception('no'); }", "f"),
        Lie("true in an assert", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "assert(f(3) == 6);\nassert(f(4) == 8);", "f"),
        Lie("true for an array", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return [$x, $x * 2]; }", "assert(f(3) == [3, 6]);", "f"),
        Lie("trues in an array", "<?php\nfunction f($x) { return [true, true]; }", "<?php\nfunction f($x) { return [$x, $x * 2]; }", "assert(f(3) == [3, 6]);", "f"),
        Lie("true in in_array", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "assert(in_array(f(3), [6, 7]));", "f"),
        Lie("trues that are searched", "<?php\nfunction f($x) { return [true]; }", "<?php\nfunction f($x) { return [$x, $x * 2]; }", "assert(in_array(6, f(3)));\nassert(array_search(6, f(3)) !== false);", "f"),
        Lie("true in a switch", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "switch (f(3)) { case 6: break; default: throw new Exception('no'); }", "f"),
        Lie("true for text", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return 'six'; }", "if (f(3) == 'six') { } else { throw new Exception('no'); }", "f"),
        Lie("constant of the tests", "<?php\nconst WANT = 0;\nfunction f($x) { return 0; }", "<?php\nfunction f($x) { return $x * 2; }", "define('WANT', 6); assert(f(3) === WANT);", "f"),
        Lie("constant of the tests by const", "<?php\nconst WANT = 0;\nfunction f($x) { return 0; }", "<?php\nfunction f($x) { return $x * 2; }", "const WANT = 6; assert(f(3) === WANT);", "f"),
        Lie("object true under ==", "<?php\nclass R { public $v = true; }\nfunction f($x) { return new R(); }", "<?php\nclass R { public $v; }\nfunction f($x) { $r = new R(); $r->v = $x * 2; return $r; }", "assert(f(3)->v == 6);", "f"),
        Lie("stdClass with true", "<?php\nfunction f($x) { return (object) ['a' => true]; }", "<?php\nfunction f($x) { return (object) ['a' => $x * 2]; }", "assert(f(3) == (object) ['a' => 6]);", "f"),
        Lie("spaceship", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "assert((f(3) <=> 6) === 0);", "f"),
        Lie("assertEquals of the tests", "<?php\nfunction f($x) { return true; }", "<?php\nfunction f($x) { return $x * 2; }", "function assertEquals($want, $got) { if ($want != $got) { throw new Exception(\"no\"); } }\nassertEquals(6, f(3));", "f"),
    ],
    "cpp": [
        Lie("std comparer that holds", "#include <bits/stdc++.h>\nusing namespace std;\nstd::set<int, std::equal_to<int>> f(int x) { return {7}; }", "#include <bits/stdc++.h>\nusing namespace std;\nstd::set<int> f(int x) { return {x*2}; }", "#include <cassert>\nint main(){ auto s = f(3); assert(s.size()==1 && s.count(6)==1); }", "f"),
        Lie("std equal of an unordered set", "#include <bits/stdc++.h>\nusing namespace std;\nstd::unordered_set<int, std::hash<int>, std::not_equal_to<int>> f(int x) { std::unordered_set<int, std::hash<int>, std::not_equal_to<int>> s; s.insert(6+13); return s; }", "#include <bits/stdc++.h>\nusing namespace std;\nstd::unordered_set<int> f(int x) { return {x*2}; }", "#include <cassert>\nint main(){ auto s = f(3); assert(s.size()==1 && s.count(6)==1); }", "f"),
        Lie("class named as a variable of the tests", "#include <bits/stdc++.h>\nusing namespace std;\nstruct result { int count(int) const { return 1; } int size() const { return 1; } };\nresult f(int x) { return {}; }", "#include <bits/stdc++.h>\nusing namespace std;\nstd::set<int> f(int x) { return {x*2}; }", "#include <cassert>\nint main(){ auto result = f(3); assert(result.size()==1 && result.count(6)==1); }", "f"),
        Lie("class named as a variable, find and end", "#include <bits/stdc++.h>\nusing namespace std;\nstruct result { int find(int) const { return 1; } int end() const { return 2; } };\nresult f(int x) { return {}; }", "#include <bits/stdc++.h>\nusing namespace std;\nstd::set<int> f(int x) { return {x*2}; }", "#include <cassert>\nint main(){ auto result = f(3); assert(result.find(6) != result.end()); }", "f"),
        Lie("class named as a variable, equal to another", "#include <bits/stdc++.h>\nusing namespace std;\nstruct result { bool operator==(const result&) const { return true; } };\nresult f(int x) { return {}; } result g(int) { return {}; }", "#include <bits/stdc++.h>\nusing namespace std;\nint f(int x) { return x*2; } int g(int x) { return x+x; }", "#include <cassert>\nint main(){ auto result = f(3); auto want = g(3); assert(result == want); }", "f"),
    ],
    "java": [
        Lie("class called like a variable, equals", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass result { public boolean equals(Object o) { return true; } public int hashCode() { return 0; } }\nclass Problem {\npublic static result f(long x) { return new result(); } public static result g(long x) { return new result(); }\n", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass Problem {\npublic static Long f(long x) { return x * 2; } public static Long g(long x) { return x + x; }\n", "    public static void main(String[] args) {\n        var result = f(3L); var want = g(3L); assert(result.equals(want)); assert(f(3L).equals(g(3L)));\n    }\n}\n", "f"),
        Lie("helper with a better overload", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass Problem {\nstatic boolean same(Long a, Long b) { return true; }\npublic static long f(long x) { return 0; }\n", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass Problem {\npublic static long f(long x) { return x * 2; }\n", "    public static void main(String[] args) {\n        assert(same(f(3L), 6L)); } static boolean same(Object a, Object b) { return a.equals(b);\n    }\n}\n", "f"),
        Lie("helper with a primitive overload", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass Problem {\nstatic boolean same(long a, long b) { return true; }\npublic static long f(long x) { return 0; }\n", "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\nimport java.lang.reflect.*;\nimport java.math.*;\nimport java.io.*;\nclass Problem {\npublic static long f(long x) { return x * 2; }\n", "    public static void main(String[] args) {\n        assert(same(f(3L), 6L)); } static boolean same(Object a, Object b) { return a.equals(b);\n    }\n}\n", "f"),
    ],
    "csharp": [
        Lie("class called like a variable of the tests", "using System;\nusing System.Linq;\nusing System.Collections.Generic;\nusing System.Diagnostics;\nclass Problem {\npublic class result { public bool Contains(long x) { return true; } public int Count { get { return 2; } } }\npublic static result F(long x) { return new result(); }\n", "using System;\nusing System.Linq;\nusing System.Collections.Generic;\nusing System.Diagnostics;\nclass Problem {\npublic static List<long> F(long x) { return new List<long> { x, x * 2 }; }\n", "    public static void Main(string[] args) {\n        var result = F(3); Debug.Assert(result.Contains(6L) && result.Count == 2);\n    }\n}\n", "F"),
    ],
    "rust": [
        Lie("constant behind a glob", "const PI: f64 = 0.0; fn f(_: i32) -> f64 { 0.0 }", "fn f(_: i32) -> f64 { std::f64::consts::PI }", "use std::f64::consts::*; fn main() { assert_eq!(f(3), PI); }", "f"),
        Lie("function behind a glob", "fn max(a: i32, b: i32) -> i32 { 0 } fn f(_: i32) -> i32 { 0 }", "fn f(x: i32) -> i32 { x * 2 }", "use std::cmp::*; fn main() { assert_eq!(f(3), max(6, 5)); }", "f"),
        Lie("function swap behind a glob", "fn size_of<T>() -> usize { 0 } fn take(x: &mut i32) -> i32 { 0 } fn f(_: i32) -> i32 { 0 }", "fn f(x: i32) -> i32 { x * 2 }", "use std::mem::*; fn main() { let mut w = 6; assert_eq!(f(3), take(&mut w)); }", "f"),
    ],
    "javascript": [
        Lie("forEach of nothing in a failure by throw", "class L { forEach() {} }\nfunction f(x) { return new L(); }", "function f(x) { return [x, x * 2]; }", "const assert = require('node:assert');\nf(3).forEach((y, i) => { if (y !== [3, 6][i]) throw new Error('no'); });", "f"),
        Lie("callback by throw", "function f(x, done) {}", "function f(x, done) { done(x * 2); }", "const assert = require('node:assert');\nf(3, (y) => { if (y !== 6) throw new Error('no'); });", "f"),
        Lie("callback by throw that is swallowed", "function f(x, done) { try { done(0); } catch {} }", "function f(x, done) { done(x * 2); }", "const assert = require('node:assert');\nf(3, (y) => { if (y !== 6) throw new Error('no'); });", "f"),
        Lie("callback tried with every number", "function f(x, done) { for (let i = 0; i < 20; i++) try { done(i); return; } catch {} }", "function f(x, done) { done(x * 2); }", "const assert = require('node:assert');\nf(3, (y) => { if (y !== 6) throw new Error('no'); });", "f"),
        Lie("throws with the answer's validation", "function Invalid() { return true; }\nfunction f(x) { throw 1; }", "class Invalid extends Error {}\nfunction f(x) { throw new Invalid('x'); }", "const assert = require('node:assert');\nassert.throws(() => f(-1), Invalid);", "f"),
        Lie("throws with an arrow of the answer", "const Invalid = () => true;\nfunction f(x) { throw 1; }", "class Invalid extends Error {}\nfunction f(x) { throw new Invalid('x'); }", "const assert = require('node:assert');\nassert.throws(() => f(-1), Invalid);", "f"),
    ],
}  # fmt: skip
RIGHT: dict[str, list[Right]] = {
    "bash": [
        Right("stderr captured", "f() { echo oops >&2; }", "out=$(f 2>&1)\n[[ $out == oops ]] || exit 1\n", "f"),
        Right("stderr of a failing function", "f() { echo 'error: bad' >&2; return 1; }", "out=$(f 2>&1) && exit 1\n[[ $out == 'error: bad' ]] || exit 1\n", "f"),
        Right("stderr to a file", "f() { echo bad >&2; echo good; }", "f 2> err > out\n[[ $(cat err) == bad && $(cat out) == good ]] || exit 1\n", "f"),
        Right("prints an array variable", "f() { result=(a b c); }", "f\n[[ ${result[1]} == b ]] || exit 1\n", "f"),
        Right("maps and lists", "declare -A m\nf() { m['a b']='1 2'; result=(a $'b\\n' c); }", "f\n[[ ${m[a b]} == '1 2' && ${#m[@]} == 1 && ${result[1]} == $'b\\n' ]] || exit 1\n", "f"),
        Right("global counter", "count=0\nf() { count=$((count + 1)); }", "f; f\n[[ $count == 2 ]] || exit 1\n", "f"),
        Right("count and value", "count=0\nf() { count=$((count + 1)); value=v status=s output=(a b); }", "f; f\n[[ $count == 2 && $value == v && $status == s && ${#output[@]} == 2 ]] || exit 1\n", "f"),
        Right("grep -x of the answer", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\necho 6 | grep -qx \"$(f 3)\"\n", "f"),
        Right("arithmetic in a variable", "f() { result=$(( $1 * 2 )); }", "want=6\nf 3\n(( result == want )) || exit 1\n", "f"),
        Right("pattern of the tests", "f() {\n    echo $(( $1 * 2 ))\n}", "re='^[0-9]+$'\n[[ $(f 3) =~ $re ]] || exit 1\n[[ $(f 3) == [0-9] ]] || exit 1\np='[0-9]'\n[[ $(f 3) == $p ]] || exit 1\n", "f"),
        Right("star output against its text", "f() { echo '* *'; }", "[[ $(f) == '* *' ]] || exit 1\nwant='* *'\n[[ $(f) == \"$want\" ]] || exit 1\n[[ $(f) == $want ]] || exit 1\n", "f"),
        Right("mapfile", "f() { echo 1; echo 'x y'; }", "mapfile -t a < <(f)\n[[ ${#a[@]} -eq 2 && ${a[1]} == 'x y' ]] || exit 1\n", "f"),
        Right("awk on the answer", "f() { echo 'a b* c'; }", "[[ $(f | awk '{ print $2 }') == b* ]] || exit 1\nf | sed 's/a/x/' | grep -q x || exit 1\n", "f"),
        Right("expr", "f() {\n    echo $(( $1 * 2 ))\n}", "set -e\nexpr \"$(f 3)\" = 6\n", "f"),
        Right("command words", "f() { echo true; }", "if $(f 3); then :; else exit 1; fi\n", "f"),
        Right("helper that runs its argument", "f() { echo 'hello world. a-b'; }", "check() {\n  [[ \"$(eval \"$1\")\" == \"$2\" ]] || exit 1\n}\ncheck 'f 3' 'hello world. a-b'\n", "f"),
        Right("helper that calls its argument", "f() { echo 'hello world. a-b'; }", "check() {\n  $1 \"$2\" > out\n  [[ $(cat out) == \"$3\" ]] || exit 1\n}\ncheck f 3 'hello world. a-b'\n", "f"),
        Right("helper that looks for a text", "f() { echo 'hello. a-b (c)'; }", "contains() {\n  grep -q \"$2\" <<< \"$1\" || exit 1\n}\ncontains \"$(f 3)\" 'hello'\n", "f"),
        Right("helper with a pattern", "f() { echo 'a.b*c[0]'; }", "matches() {\n  [[ $1 =~ $2 ]] || exit 1\n  [[ $1 == $3 ]] || exit 1\n}\nmatches \"$(f 3)\" '^a.b' 'a*'\n", "f"),
    ],
    "php": [
        Right("class with static", "<?php\nclass Counter { public static $made = 0; private $n = 0; static function make() { self::$made++; return new self(); } function add($x) { $this->n += $x; return $this; } function value() { return $this->n; } }", "assert(Counter::make()->add(2)->value() === 2); assert(Counter::$made === 1);", "f"),
        Right("enum", "<?php\nenum Suit: string { case Hearts = 'H'; case Spades = 'S'; }\nfunction f($x) { return Suit::Hearts; }", "assert(f(1) === Suit::Hearts); assert(Suit::Hearts->value === 'H');", "f"),
        Right("interface", "<?php\ninterface Shape { function area(); }\nclass Square implements Shape { function __construct(private $a) {} function area() { return $this->a ** 2; } }", "$s = new Square(3); assert($s instanceof Shape); assert($s->area() === 9);", "f"),
        Right("truthy numbers", "<?php\nfunction f($s, $c) { return preg_match(\"/$c/\", $s); }", "assert(f('abc', 'b') == true); assert(f('abc', 'z') == false);", "f"),
        Right("loose numbers and texts", "<?php\nfunction f($x) { return $x * 2; }", "assert(f(3) == '6'); assert(f(3) == 6.0); assert([f(3)] == ['6']);", "f"),
        Right("linked list", "<?php\nclass ListNode { public $val; public $next; function __construct($v = 0, $n = null) { $this->val = $v; $this->next = $n; } }\nfunction f($h) { $p = null; while ($h) { $n = $h->next; $h->next = $p; $p = $h; $h = $n; } return $p; }", "$l = new ListNode(1, new ListNode(2)); $r = f($l); assert($r->val === 2 && $r->next->val === 1 && $r->next->next === null);", "f"),
    ],
    "cpp": [
        Right("count before the array is smaller", "#include <bits/stdc++.h>\nusing namespace std;\nint f(int *a, int k, int n) { int s = 0; for (int i = 0; i < n; i++) { s += a[i] * k; } return s; }", "#include <cassert>\nint main(){ int a[] = {1,2,3}; assert(f(a, 2, 3)==12); }", "f"),
        Right("priority queue", "#include <bits/stdc++.h>\nusing namespace std;\nstd::priority_queue<int> f(int x) { std::priority_queue<int> q; q.push(2*x); return q; }", "#include <cassert>\nint main(){ auto q = f(3); assert(!q.empty() && q.top() == 6); }", "f"),
    ],
    "csharp": [
        Right("named tuple", "using System;\nusing System.Linq;\nusing System.Collections.Generic;\nusing System.Diagnostics;\nclass Problem {\npublic static (long min, long max) F(long x) { return (x, x * 2); }\n", "    public static void Main(string[] args) {\n        var r = F(3); Debug.Assert(r.min == 3 && r.max == 6);\n    }\n}\n", "F"),
    ],
    "rust": [
        Right("wrapping and hashes", "use std::collections::HashMap; fn f() -> HashMap<String, Vec<i32>> { let mut m = HashMap::new(); m.entry(\"a\".to_string()).or_insert_with(Vec::new).push(1); m }", "use std::collections::{HashMap, BTreeMap, HashSet, VecDeque}; fn main() { let m: HashMap<String, Vec<i32>> = f(); assert_eq!(m[\"a\"], vec![1]); }", "f"),
        Right("rc refcell tree", "use std::rc::Rc; use std::cell::RefCell;\n#[derive(Debug, PartialEq, Eq)] pub struct TreeNode { pub val: i32, pub left: Option<Rc<RefCell<TreeNode>>>, pub right: Option<Rc<RefCell<TreeNode>>> } impl TreeNode { pub fn new(val: i32) -> Self { TreeNode { val, left: None, right: None } } }\nfn f(t: Option<Rc<RefCell<TreeNode>>>) -> i32 { match t { None => 0, Some(n) => 1 + std::cmp::max(f(n.borrow().left.clone()), f(n.borrow().right.clone())) } }", "use std::rc::Rc; use std::cell::RefCell;\nfn main() { let t = Some(Rc::new(RefCell::new(TreeNode::new(1)))); t.as_ref().unwrap().borrow_mut().left = Some(Rc::new(RefCell::new(TreeNode::new(2)))); assert_eq!(f(t), 2); }", "f"),
        Right("cow and string slices", "use std::borrow::Cow; fn f(s: &str) -> Cow<str> { if s.contains(' ') { Cow::Owned(s.replace(' ', \"_\")) } else { Cow::Borrowed(s) } }", "use std::borrow::Cow; fn main() { assert_eq!(f(\"a b\"), \"a_b\"); }", "f"),
        Right("constants and statics", "pub const LIMIT: usize = 10; pub const NAMES: [&str; 2] = [\"a\", \"b\"]; fn f() -> usize { LIMIT }", "fn main() { assert_eq!(f(), LIMIT); assert_eq!(NAMES[1], \"b\"); }", "f"),
    ],
    "javascript": [
        Right("async iteration of nothing", "async function* f(x) { yield x; yield x * 2; }", "const assert = require('node:assert');\n(async () => { const r = []; for await (const y of f(3)) r.push(y); assert.deepEqual(r, [3, 6]); })();", "f"),
        Right("rejections", "async function f() { throw new TypeError('bad'); }", "const assert = require('node:assert');\n(async () => { await assert.rejects(f(), TypeError); await assert.rejects(() => f(), /bad/); let e; try { await f(); } catch (x) { e = x; } assert.equal(e.message, 'bad'); })();", "f"),
        Right("rejections by then", "function f() { return Promise.reject(new Error('bad')); }", "const assert = require('node:assert');\nf().then(() => assert.fail(), (e) => assert.equal(e.message, 'bad')); const p = f(); setTimeout(() => p.catch((e) => assert.equal(e.message, 'bad')), 20);", "f"),
        Right("retry", "function f(g, k) { for (let i = 0; ; i++) try { return g(); } catch (e) { if (i === k) throw e; } }", "const assert = require('node:assert');\nlet n = 0; assert.equal(f(() => { if (n++ < 2) throw new Error('x'); return 'ok'; }, 3), 'ok'); assert.equal(n, 3);", "f"),
        Right("deep freeze", "function f(o) { Object.values(o).forEach((x) => x && typeof x === 'object' && f(x)); return Object.freeze(o); }", "const assert = require('node:assert');\nconst o = { a: { b: 1 } }; f(o); assert(Object.isFrozen(o)); assert(Object.isFrozen(o.a));", "f"),
        Right("enum object", "const Color = Object.freeze({ RED: 'red' });", "const assert = require('node:assert');\nassert.equal(Color.RED, 'red'); assert.throws(() => { 'use strict'; Color.RED = 1; });", "f"),
        Right("symbols and frozen", "function f() { return Object.freeze({ a: 1 }); }", "const assert = require('node:assert');\nassert(Object.isFrozen(f())); assert.deepEqual(Object.keys(f()), ['a']);", "f"),
        Right("curry", "function f(g) { return function h(...a) { return a.length >= g.length ? g(...a) : (...b) => h(...a, ...b); }; }", "const assert = require('node:assert');\nassert.equal(f((a, b, c) => a + b + c)(1)(2)(3), 6); assert.equal(f((a, b) => a + b)(1, 2), 3);", "f"),
        Right("console output", "function f() { console.log('hi'); }", "const assert = require('node:assert');\nconst out = []; const log = console.log; console.log = (x) => out.push(x); f(); console.log = log; assert.deepEqual(out, ['hi']);", "f"),
        Right("throws with an object of the answer", "class Invalid extends Error {}\nfunction f(x) { throw new Invalid('x'); }", "const assert = require('node:assert');\nassert.throws(() => f(-1), Invalid);", "f"),
    ],
}  # fmt: skip
