<?php
// The side of the tests: `php judge.php MARK NAMES...` runs tests.php on the names of the answer, and prints the mark at its end.
require_once __DIR__ . '/peer.php';

(static function (string $mark, array $names): void {
    $peer = new ReflectionTrlPeer(true, static function (string $_, $target, array $arguments): array {
        $closure = ReflectionTrlPeer::$only->object($target);
        return [$closure(...$arguments), []];
    });
    // An object is no number: a comparison with one must fail, and not warn
    set_error_handler(static function (int $level, string $text): bool {
        if (preg_match('/\AObject of class \S+ could not be converted/', $text)) {
            fwrite(STDERR, "PHP Fatal error:  Uncaught TypeError: $text\n");
            exit(1);
        }
        return false;
    });
    $own = $words = [];
    $tokens = array_values(array_filter(token_get_all(file_get_contents('tests.php')), static function ($token) {
        return !is_array($token) || !in_array($token[0], [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT], true);
    }));
    foreach ($tokens as $place => $token) {
        $words[] = is_array($token) ? $token[1] : $token;
        if (is_array($token) && in_array($token[0], [T_FUNCTION, T_CLASS, T_INTERFACE, T_TRAIT], true) && is_array($tokens[$place + 1] ?? null)) {
            $own[] = strtolower($tokens[$place + 1][1]);
        }
    }
    // Tests that look into objects expect some; for others, a function that returns one has failed
    ReflectionTrlPeer::$objects_expected = array_intersect(['->', '?->', 'instanceof'], $words) !== [];
    $all = $peer->request('names', null, $names);
    foreach (is_array($all) ? $all : [] as $name => $found) {
        if (in_array(strtolower($name), $own, true) || !in_array($name, $names, true) || !is_array($found)) {
            continue;
        }
        if ($found[0] === 'function' && !function_exists($name)) {
            $target = var_export((string) $found[1], true);
            $parameters = '...$arguments';
            $found[2] = array_values((array) $found[2]);
            if (in_array(true, $found[2], true)) {
                $each = array_map(static function ($place, $reference) {
                    return ($reference ? '&' : '') . "\$a$place = null";
                }, array_keys($found[2]), $found[2]);
                $parameters = implode(', ', $each);
                $list = implode(', ', array_map(static function ($place) {
                    return "&\$a$place";
                }, array_keys($found[2])));
                eval("function $name($parameters) { \$arguments = array_slice([$list], 0, func_num_args()); return ReflectionTrlPeer::\$only->request('call', $target, \$arguments); }");
            } else {
                eval("function $name($parameters) { return ReflectionTrlPeer::\$only->request('call', $target, \$arguments); }");
            }
        } elseif ($found[0] === 'class' && !class_exists($name)) {
            $constants = '';
            foreach ($found[3] as $key => $value) {
                if (preg_match('/\A[A-Za-z_]\w*\z/', $key) && is_scalar($value)) {
                    $constants .= "const $key = " . var_export($value, true) . '; ';
                }
            }
            $parent = 'ReflectionTrlStandIn';
            foreach ($found[2] as $one) {
                if (is_string($one) && class_exists($one) && is_subclass_of($one, Throwable::class) || in_array($one, ['Exception', 'Error'], true)) {
                    $parent = "\\$one";
                    break;
                }
            }
            ReflectionTrlPeer::$objects_expected = true;
            eval("class $name extends $parent { $constants}");
        } elseif ($found[0] === 'constant' && !defined($name)) {
            define($name, $found[1]);
        }
    }
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
