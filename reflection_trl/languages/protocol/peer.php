<?php
// Values and calls between two PHP processes: the tests, and the answer that they call.
//
// Scalars, arrays and plain objects cross as copies. Other objects stay where they are; the tests get a stand-in that forwards
// each access. The answer may call closures that the tests have passed to it, and use objects of their classes, and nothing else.

class ReflectionTrlGone extends Exception {}

final class ReflectionTrlPeer
{
    /** @var ReflectionTrlPeer */
    public static $only;
    /** @var bool whether the tests expect objects of the answer's classes, so that a function may return one */
    public static $objects_expected = true;
    /** @var Throwable|null the error that the other side has reported, or that a call here has thrown */
    public $failure = null;
    /** @var bool whether the tests take what the answer prints */
    public static $captures = false;
    private $objects = [];
    private $in;
    private $out;
    private $serves;
    private $trusted;

    public function __construct(bool $trusted, callable $serves)
    {
        $this->in = fopen('php://fd/3', 'rb');
        $this->out = fopen('php://fd/4', 'wb');
        $this->trusted = $trusted;
        $this->serves = $serves;
        self::$only = $this;
    }

    /** The other side is gone, or sends nonsense. No `catch` of the tests may take that for an error that they wait for. */
    private function gone(): void
    {
        if ($this->trusted) {
            exit(97);
        }
        throw new ReflectionTrlGone();
    }

    private function read(int $size): string
    {
        $data = '';
        while (strlen($data) < $size) {
            $part = fread($this->in, $size - strlen($data));
            if ($part === false || $part === '') {
                $this->gone();
            }
            $data .= $part;
        }
        return $data;
    }

    public function receive(): array
    {
        $message = unserialize($this->read(unpack('N', $this->read(4))[1]), ['allowed_classes' => false]);
        if (!is_array($message)) {
            $this->gone();
        }
        return $message;
    }

    public function send(array $message): void
    {
        $data = serialize($message);
        $data = pack('N', strlen($data)) . $data;
        while ($data !== '') {
            $count = @fwrite($this->out, $data);
            if (!$count) {
                $this->gone();
            }
            $data = substr($data, $count);
        }
    }

    /** Asks the other side, and serves what it asks meanwhile. References in `$arguments` are brought up to date. */
    public function request(string $operation, $target, array &$arguments = [])
    {
        ReflectionTrlStandIn::reflectionTrlWriteBack();
        $this->send([$operation, $target, array_map([$this, 'encode'], $arguments)]);
        while (true) {
            $message = $this->receive();
            if (is_string($message['printed'] ?? null)) {
                echo $message['printed'];
            }
            if ($message[0] === 'result') {
                foreach ($message[2] as $key => $value) {
                    $arguments[$key] = $this->decode($value);
                }
                return $this->decode($message[1]);
            }
            if ($message[0] === 'error') {
                throw $this->failure = $this->error($message);
            }
            $this->answer($message);
        }
    }

    public function answer(array $message): void
    {
        $printing = self::$captures && ob_start();
        try {
            $arguments = array_map([$this, 'decode'], $message[2]);
            if ($this->trusted && !in_array($message[0], ['invoke', 'method', 'get', 'set', 'isset'], true)) {
                $this->gone();
            }
            [$result, $changed] = ($this->serves)($message[0], $message[1], $arguments);
            $reply = ['result', $this->encode($result), array_map([$this, 'encode'], $changed)];
        } catch (ReflectionTrlGone $gone) {
            throw $gone;
        } catch (Throwable $error) {
            $this->failure = $error;
            $reply = ['error', array_values([get_class($error), ...class_parents($error)]), $error->getMessage(), $error->getCode()];
            if (!$this->trusted) {
                $this->objects[spl_object_id($error)] = $error;
                array_push($reply, spl_object_id($error), array_map([$this, 'encode'], get_object_vars($error)));
            }
        }
        if ($printing) {
            $reply['printed'] = (string) ob_get_clean();
        }
        $this->send($reply);
    }

    public function object(int $number)
    {
        if (!isset($this->objects[$number])) {
            $this->gone();
        }
        return $this->objects[$number];
    }

    public function encode($value)
    {
        if (is_array($value)) {
            return ['array', array_map([$this, 'encode'], $value)];
        }
        if (!is_object($value)) {
            return ['value', is_resource($value) ? (int) $value : $value];
        }
        if ($value instanceof ReflectionTrlStandIn) {
            return ['yours', ReflectionTrlStandIn::reflectionTrlNumberOf($value)];
        }
        if ($value instanceof ReflectionTrlGuest) {
            return ['yours', $value->reflectionTrlNumber];
        }
        if ($value instanceof UnitEnum) {
            return ['case', get_class($value), $value->name];
        }
        if ($value instanceof stdClass) {
            return ['plain', array_map([$this, 'encode'], (array) $value)];
        }
        if ($this->trusted && !$value instanceof Closure && ($methods = array_diff(get_class_methods($value), ['__construct']))) {
            $number = spl_object_id($value);
            $this->objects[$number] = $value;
            return ['guest', $number, array_values($methods), array_values(class_implements($value))];
        }
        if ($this->trusted && !$value instanceof Closure) {
            return ['plain', array_map([$this, 'encode'], get_object_vars($value))];
        }
        $number = spl_object_id($value);
        $this->objects[$number] = $value;
        return ['object', $number, array_values([get_class($value), ...class_parents($value)])];
    }

    public function decode($node)
    {
        switch ($node[0]) {
            case 'value':
                return is_object($node[1]) || is_array($node[1]) ? null : $node[1];
            case 'array':
                return array_map([$this, 'decode'], $node[1]);
            case 'plain':
                return (object) array_map([$this, 'decode'], $node[1]);
            case 'yours':
                return $this->object($node[1]);
            case 'guest':
                if ($this->trusted) {
                    break;
                }
                return ReflectionTrlGuest::reflectionTrlMake($node[1], $node[2], $node[3]);
            case 'object':
                return ReflectionTrlStandIn::reflectionTrlMake((int) $node[1], (array) $node[2]);
            case 'case':
                if (is_string($node[1]) && is_string($node[2]) && class_exists($node[1], false) && is_subclass_of($node[1], 'UnitEnum') && defined("$node[1]::$node[2]")) {
                    return constant("$node[1]::$node[2]");
                }
                break;
        }
        $this->gone();
    }

    private function error(array $message): Throwable
    {
        foreach ($message[1] as $name) {
            if (class_exists($name) && is_subclass_of($name, Throwable::class)) {
                $class = new ReflectionClass($name);
                $error = $class->newInstanceWithoutConstructor();
                $base = $error instanceof Error ? Error::class : Exception::class;
                foreach (['message' => (string) $message[2], 'code' => $message[3]] as $key => $value) {
                    $property = new ReflectionProperty($base, $key);
                    $property->setAccessible(true);
                    $property->setValue($error, $value);
                }
                if (property_exists($error, 'reflectionTrlNumber')) {
                    $error->reflectionTrlNumber = (int) ($message[4] ?? -1);
                    foreach ((array) ($message[5] ?? []) as $key => $value) {
                        $error->{$key} = $this->decode($value);
                    }
                }
                return $error;
            }
        }
        return new Exception((string) $message[2]);
    }
}

/** Methods of an enum, whose cases are on both sides. */
trait ReflectionTrlMethods
{
    public function __call($name, $arguments)
    {
        $values = [$this, $name, $arguments];
        return ReflectionTrlPeer::$only->request('of case', null, $values);
    }

    public static function __callStatic($name, $arguments)
    {
        $values = [$name, $arguments];
        return ReflectionTrlPeer::$only->request('static', static::class, $values);
    }
}

/** An object of the other side. */
class ReflectionTrlStandIn implements ArrayAccess, Countable, IteratorAggregate
{
    private $reflectionTrlNumber = -1;
    /** By their numbers: one stand-in for each object, which is identical to itself */
    private static $reflectionTrlMade = [];
    /** The last arrays that the tests have read of objects: object, name, the array as they have it, and as it was */
    private static $reflectionTrlHeld = [];

    public static function reflectionTrlMake(int $number, array $classes): ReflectionTrlStandIn
    {
        $known = array_intersect(['Closure', 'Generator', 'Iterator', 'ArrayIterator', 'DateTimeInterface'], $classes) !== [];
        if (!ReflectionTrlPeer::$objects_expected && !$known) {
            throw new TypeError('An object of the class ' . reset($classes) . ' cannot be compared by the tests.');
        }
        foreach ([...$classes, self::class] as $name) {
            if ($name === self::class || (class_exists($name, false) && is_subclass_of($name, self::class))) {
                $made = self::$reflectionTrlMade[$number] ?? (new ReflectionClass($name))->newInstanceWithoutConstructor();
                return $made->reflectionTrlAs($number);
            }
        }
    }

    private function reflectionTrlAs(int $number): ReflectionTrlStandIn
    {
        $this->reflectionTrlNumber = $number;
        return self::$reflectionTrlMade[$number] = $this;
    }

    /** Sends what the tests have changed in arrays of objects: `$node->children[] = ...`. */
    public static function reflectionTrlWriteBack(): void
    {
        $held = self::$reflectionTrlHeld;
        self::$reflectionTrlHeld = [];
        foreach ($held as $place => [$object, $name, &$now, $before]) {
            if ($now !== $before) {
                $object->ask('set', [$name, $now]);
            }
        }
    }

    public static function reflectionTrlNumberOf(ReflectionTrlStandIn $object): int
    {
        return $object->reflectionTrlNumber;
    }

    /** A static property of a class of the other side. */
    public static function reflectionTrlStatic(string $class, string $property)
    {
        $values = [$property];
        return ReflectionTrlPeer::$only->request('static get', $class, $values);
    }

    public function reflectionTrlEquals(ReflectionTrlStandIn $other): bool
    {
        return $this->ask('equals', [$other]) === true;
    }

    private function ask(string $operation, array $arguments)
    {
        return ReflectionTrlPeer::$only->request($operation, $this->reflectionTrlNumber, $arguments);
    }

    public function __construct(...$arguments)
    {
        $this->reflectionTrlAs(ReflectionTrlPeer::$only->request('new', static::class, $arguments));
    }

    public function __clone()
    {
        $this->reflectionTrlAs($this->ask('clone', []));
    }

    public function __call($name, $arguments)
    {
        return $this->ask('method', [$name, $arguments]);
    }

    public static function __callStatic($name, $arguments)
    {
        $values = [$name, $arguments];
        return ReflectionTrlPeer::$only->request('static', static::class, $values);
    }

    public function __invoke(...$arguments)
    {
        return $this->ask('invoke', $arguments);
    }

    public function &__get($name)
    {
        $value = $this->ask('get', [$name]);
        if (is_array($value)) {
            self::$reflectionTrlHeld = array_slice(self::$reflectionTrlHeld, -7);
            self::$reflectionTrlHeld[] = [$this, $name, &$value, $value];
        }
        return $value;
    }

    public function __set($name, $value)
    {
        $this->ask('set', [$name, $value]);
    }

    public function __isset($name)
    {
        return $this->ask('isset', [$name]) === true;
    }

    public function __unset($name)
    {
        $this->ask('unset', [$name]);
    }

    public function __toString()
    {
        return (string) $this->ask('method', ['__toString', []]);
    }

    #[ReturnTypeWillChange]
    public function offsetExists($key)
    {
        return $this->ask('method', ['offsetExists', [$key]]) === true;
    }

    #[ReturnTypeWillChange]
    public function offsetGet($key)
    {
        return $this->ask('method', ['offsetGet', [$key]]);
    }

    #[ReturnTypeWillChange]
    public function offsetSet($key, $value)
    {
        $this->ask('method', ['offsetSet', [$key, $value]]);
    }

    #[ReturnTypeWillChange]
    public function offsetUnset($key)
    {
        $this->ask('method', ['offsetUnset', [$key]]);
    }

    #[ReturnTypeWillChange]
    public function count()
    {
        return (int) $this->ask('method', ['count', []]);
    }

    public function getIterator(): Iterator
    {
        yield from $this->ask('items', []);
    }
}

/** What the answer has in place of an object of a class of the tests. */
class ReflectionTrlGuest
{
    public $reflectionTrlNumber = -1;
    private static $reflectionTrlMade = [];

    /** @return ReflectionTrlGuest an object with these methods, and those interfaces of them that the answer has */
    public static function reflectionTrlMake(int $number, array $methods, array $interfaces): ReflectionTrlGuest
    {
        if (!isset(self::$reflectionTrlMade[$number])) {
            $interfaces = array_values(array_filter($interfaces, static function (string $one): bool {
                return interface_exists($one, false) && (new ReflectionClass($one))->isUserDefined();
            }));
            $name = 'ReflectionTrlGuest' . md5(serialize([$methods, $interfaces]));
            if (!class_exists($name, false)) {
                $declared = '';
                foreach ($methods as $method) {
                    $declared .= self::reflectionTrlDeclared($method, $interfaces);
                }
                $implements = $interfaces ? 'implements \\' . implode(', \\', $interfaces) : '';
                eval("class $name extends ReflectionTrlGuest $implements { $declared}");
            }
            self::$reflectionTrlMade[$number] = new $name();
            self::$reflectionTrlMade[$number]->reflectionTrlNumber = $number;
        }
        return self::$reflectionTrlMade[$number];
    }

    private static function reflectionTrlDeclared(string $method, array $interfaces): string
    {
        foreach ($interfaces as $interface) {
            if (method_exists($interface, $method)) {
                $head = new ReflectionMethod($interface, $method);
                $parameters = array_map(static function (ReflectionParameter $one): string {
                    $variadic = $one->isVariadic();
                    return ($one->isPassedByReference() ? '&' : '') . ($variadic ? '...' : '') . '$' . $one->getName() . ($variadic ? '' : ' = null');
                }, $head->getParameters());
                $type = $head->hasReturnType() ? ': ' . $head->getReturnType() : '';
                $return = $type === ': void' ? '' : 'return ';
                return "public function $method(" . implode(', ', $parameters) . ")$type { $return\$this->__call('$method', func_get_args()); } ";
            }
        }
        return '';
    }

    private function ask(string $operation, array $arguments)
    {
        return ReflectionTrlPeer::$only->request($operation, $this->reflectionTrlNumber, $arguments);
    }

    public function __call($name, $arguments)
    {
        return $this->ask('method', [$name, $arguments]);
    }

    public function __invoke(...$arguments)
    {
        return $this->ask('method', ['__invoke', $arguments]);
    }

    public function __get($name)
    {
        return $this->ask('get', [$name]);
    }

    public function __set($name, $value)
    {
        $this->ask('set', [$name, $value]);
    }

    public function __isset($name)
    {
        return $this->ask('isset', [$name]) === true;
    }

    public function __toString()
    {
        return (string) $this->ask('method', ['__toString', []]);
    }
}
