<?php
// The side of the answer: it comes behind it, and serves what the tests ask.
require_once __DIR__ . '/peer.php';

(static function (): void {
    $find = static function (string $name, array $known): ?string {
        foreach ($known as $one) {
            if (strcasecmp($one, $name) === 0 || strcasecmp(substr($one, -strlen($name) - 1), "\\$name") === 0) {
                return $one;
            }
        }
        return null;
    };
    $functions = get_defined_functions()['user'];
    $own = static function (string $name): bool {
        return (new ReflectionClass($name))->isUserDefined() && strpos($name, 'ReflectionTrl') !== 0;
    };
    $classes = array_filter(get_declared_classes(), $own);
    $interfaces = array_filter(get_declared_interfaces(), $own);
    $constants = get_defined_constants(true)['user'] ?? [];

    $describe = static function (array $names) use ($find, $functions, $classes, $interfaces, $constants): array {
        $found = [];
        foreach ($names as $name) {
            if (($one = $find($name, $functions)) !== null) {
                $references = [];
                foreach ((new ReflectionFunction($one))->getParameters() as $parameter) {
                    $references[] = $parameter->isVariadic() ? 'all' : $parameter->isPassedByReference();
                }
                $found[$name] = ['function', $one, $references];
            } elseif (($one = $find($name, $interfaces)) !== null) {
                $found[$name] = ['interface', $one];
            } elseif (($one = $find($name, $classes)) !== null && function_exists('enum_exists') && enum_exists($one)) {
                $cases = [];
                foreach ($one::cases() as $case) {
                    $cases[$case->name] = $case->value ?? null;
                }
                $found[$name] = ['enum', $cases, is_subclass_of($one, 'BackedEnum') ? gettype(reset($cases)) === 'integer' ? 'int' : 'string' : ''];
            } elseif ($one !== null) {
                $constants_ = array_filter((new ReflectionClass($one))->getConstants(), 'is_scalar');
                $short = static function (string $name): string {
                    return substr(strrchr("\\$name", '\\'), 1);
                };
                $found[$name] = ['class', $one, array_values(class_parents($one)), $constants_, array_map($short, array_values(class_implements($one)))];
            } elseif (array_key_exists($name, $constants)) {
                $found[$name] = ['constant', $constants[$name]];
            }
        }
        return $found;
    };

    $serve = static function (string $operation, $target, array $arguments) use ($describe, $find, $classes): array {
        $peer = ReflectionTrlPeer::$only;
        $object = is_int($target) ? $peer->object($target) : null;
        switch ($operation) {
            case 'names':
                return [$describe($arguments), []];
            case 'call':
                $passed = [];
                foreach ($arguments as $key => $_) {
                    $passed[$key] = &$arguments[$key];
                }
                $parameters = (new ReflectionFunction($target))->getParameters();
                $result = $target(...$passed);
                $changed = array_filter($arguments, static function ($key) use ($parameters) {
                    return is_int($key) && isset($parameters[$key]) && $parameters[$key]->isPassedByReference();
                }, ARRAY_FILTER_USE_KEY);
                return [$result, $changed];
            case 'new':
                $name = $find($target, $classes);
                return [$peer->encode(new $name(...$arguments))[1], []];
            case 'method':
                return [$object->{$arguments[0]}(...$arguments[1]), []];
            case 'static':
                return [[$find($target, $classes), $arguments[0]](...$arguments[1]), []];
            case 'invoke':
                return [$object(...$arguments), []];
            case 'get':
                return [$object->{$arguments[0]}, []];
            case 'set':
                $object->{$arguments[0]} = $arguments[1];
                return [null, []];
            case 'isset':
                return [isset($object->{$arguments[0]}), []];
            case 'unset':
                unset($object->{$arguments[0]});
                return [null, []];
            case 'clone':
                return [$peer->encode(clone $object)[1], []];
            case 'captures':
                ReflectionTrlPeer::$captures = true;
                return [null, []];
            case 'items':
                return [iterator_to_array($object), []];
            case 'of case':
                return [$arguments[0]->{$arguments[1]}(...$arguments[2]), []];
            case 'equals':
                return [$object == $arguments[0], []];
            case 'static get':
                $name = $find($target, $classes);
                return [$name::${$arguments[0]}, []];
        }
        throw new ReflectionTrlGone();
    };

    $peer = new ReflectionTrlPeer(false, $serve);
    try {
        while (true) {
            $message = $peer->receive();
            if ($message[0] === 'raise') {
                break;
            }
            $peer->answer($message);
        }
    } catch (ReflectionTrlGone $gone) {
        exit(0);
    }
    throw $peer->failure;
})();
