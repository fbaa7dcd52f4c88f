<?php
// Comparisons of the tests, without what PHP makes of a bool: `true == 6` and `true >= 6` hold in PHP, and so an answer that returns
// `true` would pass most tests.

/** Compares as `==`, `<` and their like do, but for a bool, which is equal to bools, and to 0, 1 and empty values only. */
final class ReflectionTrlLoose
{
    public static function equal($a, $b): bool
    {
        if (is_bool($a) !== is_bool($b)) {
            [$bool, $other] = is_bool($a) ? [$a, $b] : [$b, $a];
            return $bool ? is_scalar($other) && (string) $other === '1' : $bool == $other;
        }
        if ($a instanceof ReflectionTrlStandIn && $b instanceof ReflectionTrlStandIn) {
            return get_class($a) === get_class($b) && $a->reflectionTrlEquals($b);
        }
        if ($a instanceof stdClass && $b instanceof stdClass) {
            [$a, $b] = [(array) $a, (array) $b];
        }
        if (!is_array($a) || !is_array($b)) {
            return $a == $b;
        }
        foreach ($a as $key => $value) {
            if (!array_key_exists($key, $b) || !self::equal($value, $b[$key])) {
                return false;
            }
        }
        return count($a) === count($b);
    }

    public static function compare($a, $b): int
    {
        foreach ([[$a, $b], [$b, $a]] as [$one, $other]) {
            if ((is_int($one) || is_float($one)) && (is_bool($other) || is_array($other) || $other === null)) {
                throw new TypeError('Unsupported operand types: ' . gettype($a) . ' compared with ' . gettype($b));
            }
        }
        return self::equal($a, $b) ? 0 : ($a <=> $b);
    }

    public static function holds($a, string $operator, $b): bool
    {
        self::compare($a, $b);
        switch ($operator) {
            case '<': return $a < $b;
            case '>': return $a > $b;
            case '<=': return $a <= $b;
        }
        return $a >= $b;
    }

    /** The value of a `switch` whose cases are no bools. */
    public static function subject($value)
    {
        if (is_bool($value)) {
            throw new TypeError('A bool is none of the cases.');
        }
        return $value;
    }

    public static function in_array($wanted, array $values, bool $strict = false): bool
    {
        return self::array_search($wanted, $values, $strict) !== false;
    }

    public static function array_search($wanted, array $values, bool $strict = false)
    {
        foreach ($values as $key => $value) {
            if ($strict ? $value === $wanted : self::equal($value, $wanted)) {
                return $key;
            }
        }
        return false;
    }
}

/** The text of the tests with these comparisons in place of PHP's. Its lines are those of the tests. */
final class ReflectionTrlTests
{
    private const EQUALITIES = ['==' => 'equal(', '!=' => 'equal(', '<>' => 'equal(', '<=>' => 'compare('];
    private const ORDERS = ['<', '>', '<=', '>='];
    private const ASSIGNMENTS = ['=', '+=', '-=', '*=', '/=', '.=', '%=', '**=', '??=', '&=', '|=', '^=', '<<=', '>>='];
    // Where an operand of one of those ends, by the text of the token
    private const ENDS = [
        ';', ',', '{', '}', '?', ':', '&', '|', '^', '&&', '||', 'and', 'or', 'xor', '??', '=>', '==', '!=', '<>', '===', '!==', '<=>',
        'return', 'echo', 'print', 'throw', 'yield', 'yield from', 'case', 'else', 'do', 'as', '...', '<?php', '?>', '<?=', ...self::ASSIGNMENTS,
    ];

    private $tokens = [];
    private $originals = [];
    private $before = [];
    private $after = [];
    private $pairs = [];

    public function __construct(string $text)
    {
        $opened = [];
        foreach (token_get_all($text) as $place => $token) {
            $this->tokens[] = is_array($token) ? $token : [0, $token];
            $this->originals[] = $word = $this->tokens[$place][1];
            if (!$this->isText($this->tokens[$place][0]) && in_array($word, ['(', '[', '{', '${', '#['], true)) {
                $opened[] = $place;
            } elseif (!is_array($token) && in_array($word, [')', ']', '}'], true) && $opened) {
                $start = array_pop($opened);
                $this->pairs[$start] = $place;
                $this->pairs[$place] = $start;
            }
        }
    }

    /** The words of the text, without comments. */
    public function words(): array
    {
        $places = array_filter(array_keys($this->tokens), function ($place) {
            return !$this->isBlank($place);
        });
        return array_values(array_map(function ($place) {
            return $this->tokens[$place];
        }, $places));
    }

    public function rewritten(array $standIns): string
    {
        foreach ($this->tokens as $place => [$kind, $word]) {
            if (in_array($word, self::ORDERS, true) && !$this->isText($kind)) {
                $this->compare($place, 'holds(', ", '$word',", self::ORDERS);
            }
        }
        foreach ($this->tokens as $place => [$kind, $word]) {
            if (isset(self::EQUALITIES[$word]) && !$this->isText($kind)) {
                $this->compare($place, self::EQUALITIES[$word], ',', [], $word === '!=' || $word === '<>');
            }
        }
        foreach ($this->tokens as $place => [$kind, $word]) {
            $next = $this->beside($place, 1);
            $previous = $this->word($this->beside($place, -1));
            if ($kind === T_STRING && in_array($word, ['in_array', 'array_search'], true) && $this->word($next) === '(' && !in_array($previous, ['->', '?->', '::', 'function'], true)) {
                $this->before[$place] = ($this->before[$place] ?? '') . '\ReflectionTrlLoose::';
            } elseif ($kind === T_SWITCH && $this->word($next) === '(') {
                $this->decide($next);
            } elseif ($kind === T_VARIABLE && $previous === '::' && !in_array($this->word($next), ['++', '--', '(', ...self::ASSIGNMENTS], true)) {
                $this->readStatic($place, $standIns);
            }
        }
        $this->describeAsserts();
        $text = '';
        foreach ($this->tokens as $place => [$_, $word]) {
            $text .= ($this->before[$place] ?? '') . $word . ($this->after[$place] ?? '');
        }
        return $text;
    }

    private function compare(int $place, string $how, string $between, array $ends, bool $negated = false): void
    {
        [$start, $end] = [$this->operand($place, -1, $ends), $this->operand($place, 1, $ends)];
        if ($start === null || $end === null || !$this->computes($start, $end)) {
            return;
        }
        $this->tokens[$place][1] = $between;
        $this->before[$start] = ($negated ? '(!' : '') . "\\ReflectionTrlLoose::$how" . ($this->before[$start] ?? '');
        $this->after[$end] = ($this->after[$end] ?? '') . ($negated ? '))' : ')');
    }

    /** The farthest token of an operand, on one side of an operator. */
    private function operand(int $place, int $step, array $ends): ?int
    {
        $last = null;
        for ($next = $place + $step; isset($this->tokens[$next]); $next += $step) {
            [$kind, $word] = $this->tokens[$next];
            $pair = $this->pairs[$next] ?? null;
            $outer = $pair !== null && ($step > 0 ? $pair < $next : $pair > $next);
            $inText = in_array($this->tokens[min($next, $pair ?? $next)][0], [T_CURLY_OPEN, T_DOLLAR_OPEN_CURLY_BRACES], true);
            if ($outer || (!$inText && !$this->isText($kind) && in_array(strtolower(trim($word)), [...self::ENDS, ...$ends], true))) {
                break;
            }
            if ($pair !== null) {
                $next = $pair;
            }
            if (!$this->isBlank($next)) {
                $last = $next;
            }
        }
        return $last;
    }

    /** Whether an expression is no constant one, where no function may be called. */
    private function computes(int $start, int $end): bool
    {
        for ($place = $start; $place <= $end; $place++) {
            if ($this->tokens[$place][0] === T_VARIABLE || $this->tokens[$place][1] === '(') {
                return true;
            }
        }
        return false;
    }

    private function decide(int $opening): void
    {
        $closing = $this->pairs[$opening] ?? null;
        $body = $closing === null ? null : $this->beside($closing, 1);
        $subject = $closing === null ? '' : strtolower(trim($this->text($opening + 1, $closing - 1)));
        if ($body === null || !isset($this->pairs[$body]) || in_array($subject, ['true', 'false'], true)) {
            return;
        }
        if (!preg_match('/\bcase\s*\(?\s*(?:true|false)\b/i', $this->text($body, $this->pairs[$body]))) {
            $this->after[$opening] = '\ReflectionTrlLoose::subject(' . ($this->after[$opening] ?? '');
            $this->before[$closing] = ($this->before[$closing] ?? '') . ')';
        }
    }

    /** `Name::$property` of a class of the answer: no stand-in knows when its static properties change. */
    private function readStatic(int $place, array $standIns): void
    {
        $colons = $this->beside($place, -1);
        $class = $this->beside($colons, -1);
        if ($class === null || !in_array($this->tokens[$class][1], $standIns, true)) {
            return;
        }
        $name = $this->tokens[$class][1];
        $property = substr($this->tokens[$place][1], 1);
        $this->tokens[$class][1] = "\\ReflectionTrlStandIn::reflectionTrlStatic('$name', '$property')";
        $this->tokens[$colons][1] = $this->tokens[$place][1] = '';
    }

    /** An assert that fails shows what the tests say. */
    private function describeAsserts(): void
    {
        foreach ($this->tokens as $place => [$kind, $word]) {
            $opening = $this->beside($place, 1);
            if ($kind !== T_STRING || $word !== 'assert' || $this->word($opening) !== '(' || !isset($this->pairs[$opening])) {
                continue;
            }
            $closing = $this->pairs[$opening];
            $original = '';
            $changed = $two = false;
            for ($inner = $opening + 1; $inner < $closing; $inner++) {
                $changed = $changed || isset($this->before[$inner]) || isset($this->after[$inner]);
            }
            for ($inner = $opening + 1; $inner < $closing; $inner++) {
                $two = $two || $this->originals[$inner] === ',';
                $inner = max($inner, $this->pairs[$inner] ?? $inner);
            }
            for ($inner = $opening + 1; $inner < $closing; $inner++) {
                $original .= $this->originals[$inner];
            }
            if ($changed && !$two) {
                $said = 'assert(' . trim(preg_replace('/\s+/', ' ', $original)) . ')';
                $this->before[$closing] = ($this->before[$closing] ?? '') . ', ' . var_export($said, true);
            }
        }
    }

    private function isBlank(int $place): bool
    {
        return in_array($this->tokens[$place][0], [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT], true);
    }

    private function isText($kind): bool
    {
        return in_array($kind, [T_CONSTANT_ENCAPSED_STRING, T_ENCAPSED_AND_WHITESPACE, T_INLINE_HTML, T_COMMENT, T_DOC_COMMENT], true);
    }

    private function beside(?int $place, int $step): ?int
    {
        for ($next = $place + $step; isset($this->tokens[$next]); $next += $step) {
            if (!$this->isBlank($next)) {
                return $next;
            }
        }
        return null;
    }

    private function word(?int $place): string
    {
        return $place === null ? '' : $this->tokens[$place][1];
    }

    private function text(int $start, int $end): string
    {
        return implode('', array_column(array_slice($this->tokens, $start, $end - $start + 1), 1));
    }
}
