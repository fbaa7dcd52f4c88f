<?php
// The side of the tests: `php judge.php MARK NAMES...` runs tests.php on the names of the answer, and prints the mark at its end.
require_once __DIR__ . '/peer.php';
require_once __DIR__ . '/comparisons.php';

(static function (string $mark, array $names): void {
    $peer = new ReflectionTrlPeer(true, static function (string $operation, $target, array $arguments): array {
        $object = ReflectionTrlPeer::$only->object($target);
        if ($operation === 'invoke') {
            return [$object(...$arguments), []];
        }
        $name = $arguments[0];
        if ($object instanceof Closure || !is_string($name)) {
            throw new Error('The answer may only use objects that it has been passed.');
        }
        switch ($operation) {
            case 'get':
                return [$object->$name, []];
            case 'set':
                $object->$name = $arguments[1];
                return [null, []];
            case 'isset':
                return [isset($object->$name), []];
        }
        return [$object->$name(...$arguments[1]), []];
    });
    // An object is no number: a comparison with one must fail, and not warn
    set_error_handler(static function (int $level, string $text): bool {
        if (preg_match('/\AObject of class \S+ could not be converted/', $text)) {
            fwrite(STDERR, "PHP Fatal error:  Uncaught TypeError: $text\n");
            exit(1);
        }
        return false;
    });
    $own = $constants = [];
    $tests = new ReflectionTrlTests(file_get_contents('tests.php'));
    $tokens = $tests->words();
    $words = array_column($tokens, 1);
    foreach ($tokens as $place => [$kind, $word]) {
        if (in_array($kind, [T_FUNCTION, T_CLASS, T_INTERFACE, T_TRAIT], true) || ($kind === T_STRING && $word === 'enum')) {
            $own[] = strtolower($words[$place + 1] ?? '');
        } elseif ($kind === T_CONST) {
            $constants[] = $words[$place + 1] ?? '';
        } elseif ($kind === T_STRING && strtolower($word) === 'define') {
            $constants[] = trim($words[$place + 2] ?? '', '\'"');
        }
    }
    // Tests that look into objects expect some; for others, a function that returns one has failed
    ReflectionTrlPeer::$objects_expected = array_intersect(['->', '?->', 'instanceof'], $words) !== [];
    $standIns = [];
    if (in_array('ob_start', $words, true)) {
        $peer->request('captures', null);
    }
    $all = $peer->request('names', null, $names);
    $all = is_array($all) ? array_filter($all, 'is_array') : [];
    // Parents before their classes
    uasort($all, static function (array $a, array $b): int {
        return count((array) ($a[2] ?? [])) <=> count((array) ($b[2] ?? []));
    });
    foreach ($all as $name => $found) {
        // Functions of extensions that are not here are no functions of the answer
        if (in_array(strtolower($name), $own, true) || !in_array($name, $names, true) || preg_match('/\A(?:mb_|bc|gmp_|ctype_|iconv)/i', $name)) {
            continue;
        }
        if ($found[0] === 'function' && !function_exists($name)) {
            $target = var_export((string) $found[1], true);
            $parameters = '...$arguments';
            $found[2] = array_values((array) $found[2]);
            if (in_array(true, $found[2], true)) {
                $more = end($found[2]) === 'all' && array_pop($found[2]) ? ', ...$more' : '';
                $each = array_map(static function ($place, $reference) {
                    return ($reference ? '&' : '') . "\$a$place = null";
                }, array_keys($found[2]), $found[2]);
                $parameters = implode(', ', $each) . $more;
                $list = implode(', ', array_map(static function ($place) {
                    return "&\$a$place";
                }, array_keys($found[2])));
                eval("function $name($parameters) { \$arguments = array_slice([$list], 0, func_num_args()); foreach (\$more ?? [] as \$one) \$arguments[] = \$one; return ReflectionTrlPeer::\$only->request('call', $target, \$arguments); }");
            } else {
                eval("function $name($parameters) { return ReflectionTrlPeer::\$only->request('call', $target, \$arguments); }");
            }
        } elseif ($found[0] === 'interface' && !interface_exists($name) && !class_exists($name)) {
            eval("interface $name {}");
        } elseif ($found[0] === 'enum' && !class_exists($name)) {
            $cases = '';
            foreach ($found[1] as $key => $value) {
                if (preg_match('/\A[A-Za-z_]\w*\z/', $key) && ($value === null || is_int($value) || is_string($value))) {
                    $cases .= "case $key" . ($value === null ? '' : ' = ' . var_export($value, true)) . '; ';
                }
            }
            $type = $found[2] === 'int' || $found[2] === 'string' ? ": $found[2]" : '';
            ReflectionTrlPeer::$objects_expected = true;
            eval("enum $name$type { use ReflectionTrlMethods; $cases }");
        } elseif ($found[0] === 'class' && !class_exists($name)) {
            $inside = '';
            foreach ($found[3] as $key => $value) {
                if (preg_match('/\A[A-Za-z_]\w*\z/', $key) && is_scalar($value)) {
                    $inside .= "const $key = " . var_export($value, true) . '; ';
                }
            }
            $standIns[] = $name;
            $interfaces = array_intersect($names, array_filter((array) $found[4], 'is_string'));
            $interfaces = array_filter($interfaces, static function ($one) use ($own) {
                return !in_array(strtolower($one), $own, true);
            });
            foreach ($interfaces as $one) {
                if (!interface_exists($one) && ($all[$one][0] ?? '') === 'interface') {
                    eval("interface $one {}");
                }
            }
            $implements = ($interfaces = array_filter($interfaces, 'interface_exists')) ? 'implements ' . implode(', ', $interfaces) : '';
            $parent = 'ReflectionTrlStandIn';
            foreach ($found[2] as $one) {
                if (is_string($one) && in_array($one, $standIns, true)) {
                    $parent = $one;
                    break;
                }
                if (is_string($one) && class_exists($one) && is_subclass_of($one, Throwable::class) || in_array($one, ['Exception', 'Error'], true)) {
                    $parent = "\\$one";
                    $inside .= 'public $reflectionTrlNumber = -1; public function __call($name, $values) { $asked = [$name, $values]; return ReflectionTrlPeer::$only->request(\'method\', $this->reflectionTrlNumber, $asked); } ';
                    break;
                }
            }
            ReflectionTrlPeer::$objects_expected = true;
            eval("#[\\AllowDynamicProperties] class $name extends $parent $implements { $inside}");
        } elseif ($found[0] === 'constant' && !defined($name) && !in_array($name, $constants, true)) {
            define($name, $found[1]);
        }
    }
    file_put_contents('tests.php', $tests->rewritten($standIns));
    try {
        (static function (): void {
            require 'tests.php';
        })();
    } catch (Throwable $error) {
        if ($error === $peer->failure) {
            $peer->send(['raise', null, []]);
            exit(97);
        }
        throw $error;
    }
    echo "\n", $mark, "\n";
})($argv[1], array_slice($argv, 2));
