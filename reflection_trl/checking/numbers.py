r"""Parses numbers as people and models write them, exactly: thousands separators, mixed fractions, percentages, currencies, units."""

import re
from dataclasses import dataclass
from fractions import Fraction


# Longer numbers are not answers to problems, and arithmetic on them takes time
_MAX_LENGTH = 200
_MAX_EXPONENT = 400
# A decimal number with at least this many decimals may be a rounded fraction
_ROUNDED = 6

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_SIMPLE = r"(?:\d+(?:\.\d*)?|\.\d+)"
_FRACTION = (
    rf"\\frac\s*(?:\{{\s*(?P<n1>-?{_SIMPLE})\s*\}}|(?P<n2>\d))\s*(?:\{{\s*(?P<d1>{_SIMPLE})\s*\}}|(?P<d2>\d))"
    rf"|(?P<n3>{_SIMPLE})\s*/\s*(?P<d3>{_SIMPLE})"
)
_TIMES = r"(?:\\times|\\cdot|[xX*])"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<currency>[$€£¥₹]?)\s*(?P<inner>-?)"
    rf"(?:(?:(?P<whole>\d+)(?:\s+|\s*(?=\\frac)))?(?:{_FRACTION})"
    rf"|(?P<plain>{_PLAIN})(?:[eE](?P<exponent>[+-]?\d+)|\s*{_TIMES}\s*10\s*(?:\^|\*\*)\s*(?:\{{(?P<power1>[+-]?\d+)\}}|(?P<power2>[+-]?\d+)))?)"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_MULTIPLIERS = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_PERCENT = re.compile(r"\s*(?:%|per ?cent|pct)(?![A-Za-z])\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee", "¢": "cent"}
_MONEY = frozenset(_CURRENCIES.values())
# `0.1\overline{6}`: its digits after the point, and those that recur
_RECURRING = re.compile(
    r"(?P<sign>-?)(?P<whole>\d*)\.(?P<digits>\d*)\\(?:overline|bar|dot)\s*(?:\{(?P<cycle>\d+)\}|(?P<digit>\d))"
)
# Words after a number that are not units: they change the value, or belong to an expression
_NO_UNITS = frozenset(
    [
        "and",
        "or",
        "to",
        "plus",
        "minus",
        "times",
        "over",
        "by",
        "divided",
        "mod",
        "modulo",
        "squared",
        "cubed",
        "half",
        "halves",
        "third",
        "thirds",
        "quarter",
        "quarters",
        "fourth",
        "fourths",
        "fifth",
        "fifths",
        "remainder",
        "if",
        "when",
        "where",
        "than",
        "less",
        "least",
        "most",
        "about",
        "not",
        "between",
        "pi",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "csc",
        "cot",
        "log",
        "ln",
        "exp",
        "theta",
        "alpha",
        "beta",
        "gamma",
        "phi",
        "infinity",
        "inf",
        "sixth",
        "sixths",
        "seventh",
        "sevenths",
        "eighth",
        "eighths",
        "ninth",
        "ninths",
        "tenth",
        "tenths",
        "twelfth",
        "twelfths",
        "hundredth",
        "hundredths",
        "thousandth",
        "thousandths",
        "lakh",
        "crore",
        "grand",
        "root",
        "negative",
        "below",
        "except",
        "without",
    ]
)
_UNIT = re.compile(r"(?P<gap>\s*)(?P<words>[A-Za-zµμ]+(?:(?: |/|-| per )[A-Za-z]+)*)(?P<power>(?:\^\{?[23]\}?|[²³])?)")
# Units with their other names
_UNITS = {
    "meter": "m metre", "centimeter": "cm centimetre", "decimeter": "dm", "millimeter": "mm", "kilometer": "km kilometre",
    "inch": "in", "foot": "ft feet", "yard": "yd yds", "mile": "mi",
    "gram": "g", "kilogram": "kg", "milligram": "mg", "microgram": "µg μg", "ounce": "oz", "pound": "lb lbs",
    "liter": "l L litre", "milliliter": "ml mL millilitre", "gallon": "gal", "quart": "qt", "pint": "pt", "tablespoon": "tbsp",
    "teaspoon": "tsp", "hour": "h hr hrs", "minute": "min mins", "second": "s sec secs", "millisecond": "ms", "microsecond": "µs μs", "week": "wk wks",
    "month": "mo", "year": "yr yrs", "mile hour": "mph", "kilometer hour": "kph", "dollar": "USD usd",
    "degree celsius": "C", "degree fahrenheit": "F", "kelvin": "K", "volt": "V", "watt": "W", "kilowatt": "kW", "newton": "N", "joule": "J",
    "hertz": "Hz", "pascal": "Pa", "kilobyte": "kB KB", "megabyte": "MB", "gigabyte": "GB", "terabyte": "TB",
    "person": "people", "child": "children", "man": "men", "woman": "women",
}  # fmt: skip
_SHORT_UNITS = {other: name for name, others in _UNITS.items() for other in others.split()}
_POWERS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3"}


@dataclass(frozen=True)
class Number:
    """
    Represents a number as it was written.

    Args:
        value (`Fraction`):
            Its value, the percent sign not applied.
        decimals (`int`, *optional*, defaults to `0`):
            Digits behind the decimal point; `None` for a fraction.
        percent (`bool`, *optional*, defaults to `False`):
            Whether a percent sign or word follows it.
        unit (`str`, *optional*, defaults to `""`):
            Its unit in the singular; empty if it has none.
    """

    value: Fraction
    decimals: int | None = 0
    percent: bool = False
    unit: str = ""

    def __str__(self) -> str:
        value = self.value / 100 if self.percent else self.value
        return str(value)


def read_number(text: str) -> Number | None:
    """
    Reads a text that is one number, perhaps with a currency, a percent sign or a unit.

    Args:
        text (`str`):
            A tidied answer, as [`~reflection_trl.checking.reading.tidy`] returns it.

    Returns:
        [`Number`], *optional*: `None` for everything else, such as `5x`, `5 or 6`, `2 + 3` and numbers that are too long.
    """
    if len(text) > _MAX_LENGTH:
        return None
    if found := _RECURRING.fullmatch(text):
        return Number(_recurring_value(found), None)
    match = _NUMBER.fullmatch(text)
    if match is None or (match["sign"] and match["inner"]):
        return None
    value, decimals = _value(match)
    if value is None:
        return None
    if match["sign"] == "-" or match["inner"]:
        value = -value
    rest, currency = match["rest"].strip(" \t\n"), match["currency"]
    glued = bool(rest) and not match["rest"][0].isspace()
    if rest[:1] in _CURRENCIES and not currency:  # `5€`
        currency, rest = rest[0], rest[1:].strip()
    percent = False
    if found := _PERCENT.fullmatch(rest):
        percent, rest, glued = True, found["rest"], False
    word, _, after = rest.partition(" ")
    if not glued and (factor := _MULTIPLIERS.get(word.lower().removesuffix("s"))):
        value, rest = value * factor, after
    unit = _unit(rest, glued)
    if unit is None or (currency and unit in _MONEY - {_CURRENCIES[currency]}):
        return None
    return Number(value, decimals, percent, _CURRENCIES[currency] if currency else unit)


def split_unit(text: str) -> tuple[str, str]:
    r"""
    Splits a trailing unit from an expression, and returns both: `\sqrt{2} meters`.

    Args:
        text (`str`):
            A tidied answer.

    Returns:
        `tuple[str, str]`: Text and unit; the unit is empty if there is none.
    """
    match = re.fullmatch(
        r"(?P<value>[^A-Za-z]*(?:\\[A-Za-z]+[^A-Za-z]*)*[^A-Za-z\s\\])\s+(?P<rest>[A-Za-zµμ][^{}\\=<>]*)", text
    )
    unit = _unit(match["rest"], glued=False) if match and re.search(r"[\d\\]", match["value"]) else None
    return (match["value"], unit) if match and unit else (text, "")


def equal_numbers(expected: Number, got: Number) -> bool:
    """
    Returns whether two numbers are the same answer, by the rules of [`reflection_trl.checking`].

    Args:
        expected ([`Number`]):
            The reference.
        got ([`Number`]):
            The answer.
    """
    if expected.unit and got.unit and expected.unit != got.unit:
        return False
    if expected.percent == got.percent:
        return _same(expected, expected.value, got, got.value)
    # "What percentage ...?" is answered by 50 as well as by 50 %; a share of 0.5 is not answered by 0.5 %
    as_written = abs(expected.value) >= 1 and _same(expected, expected.value, got, got.value)
    shares = [number.value / 100 if number.percent else number.value for number in (expected, got)]
    return as_written or shares[0] == shares[1]


def _value(match: re.Match[str]) -> tuple[Fraction | None, int | None]:
    if match["plain"] is None:
        numerator, denominator = (match[f"{part}1"] or match[f"{part}2"] or match[f"{part}3"] for part in "nd")
        if not Fraction(denominator):
            return None, None
        value = Fraction(numerator) / Fraction(denominator)
        if match["whole"] is None:
            return value, None
        if not 0 < value < 1:
            return None, None  # `3 5/2` is not a mixed fraction
        return int(match["whole"]) + value, None
    digits = re.sub(r"[, ]", "", match["plain"])
    decimals = len(digits.partition(".")[2])
    power = match["exponent"] or match["power1"] or match["power2"]
    if power is None:
        return Fraction(digits), decimals
    if abs(int(power)) > _MAX_EXPONENT:
        return None, None
    return Fraction(digits) * Fraction(10) ** int(power), max(0, decimals - int(power))


def _recurring_value(match: re.Match[str]) -> Fraction:
    digits, cycle = match["digits"], match["cycle"] or match["digit"]
    recurring = Fraction(int(cycle), 10 ** len(digits) * (10 ** len(cycle) - 1))
    value = Fraction(f"{match['whole'] or 0}.{digits or 0}") + recurring
    return -value if match["sign"] else value


def _unit(rest: str, glued: bool) -> str | None:
    """Returns the unit after a number: `""` if there is no text, `None` if the text is not a unit."""
    if not rest or rest in ("st", "nd", "rd", "th", "times"):  # "3 times" as many
        return ""
    if enclosed := re.fullmatch(r"\((.+)\)", rest):  # `5 (cm)`; `5(m)` is a product
        rest = "" if glued else enclosed[1]
    if per := re.fullmatch(r"/\s*([A-Za-z]{3}.*)", rest):  # `5/day`; `5/x` is a fraction
        rest, glued = per[1], False
    match = _UNIT.fullmatch(re.sub(r"(?<=[A-Za-z])\.", "", rest))
    if match is None:
        return None
    words = match["words"]
    parts = [part for part in re.split(r"[ /-]", words) if part != "per"]
    power = match["power"].strip("^{}").translate(str.maketrans("²³", "23"))
    for place in (0, -1):  # `square feet`, `feet squared`
        if len(parts) > 1 and not power and parts[place].lower() in _POWERS:
            power = _POWERS[parts.pop(place).lower()]
    if not parts or any(part.lower() in _NO_UNITS or part.lower() in _MULTIPLIERS for part in parts):
        return None
    # `5x`, `5 x` and `5xy` are products; `5 cm`, `5cm` and `5 m` are lengths
    if parts[0] not in _SHORT_UNITS and (len(words) < 3 or (glued and len(words) < 4)):
        return None
    named = " ".join(_SHORT_UNITS.get(part) or _singular(part.lower()) for part in parts)
    return " ".join(dict.fromkeys(named.split())) + power  # `degrees C`


def _singular(word: str) -> str:
    if word.endswith(("ches", "shes", "sses", "xes")):
        word = word.removesuffix("es")
    elif len(word) > 3 and not word.endswith(("ss", "us")):
        word = word.removesuffix("s")
    if len(word) > 3 and word.endswith("ie"):  # `cities`, and `cookies` as `cookie`
        word = word.removesuffix("ie") + "y"
    return _SHORT_UNITS.get(word, word) if len(word) > 2 else word


def _same(first: Number, one: Fraction, second: Number, other: Fraction) -> bool:
    if one == other:
        return True
    return any(
        exact.decimals is None and _stands_for(decimal, value, wanted)
        for decimal, value, exact, wanted in ((second, other, first, one), (first, one, second, other))
    )


def _stands_for(decimal: Number, value: Fraction, wanted: Fraction) -> bool:
    """Returns whether a decimal number is a rounded or truncated form of a fraction."""
    if decimal.decimals is None or decimal.decimals < _ROUNDED:
        return False
    unit = Fraction(1, 10**decimal.decimals)
    # Requires five significant digits, since otherwise all small numbers would be equal
    if abs(wanted) < 10**5 * unit:
        return False
    return abs(value - wanted) <= unit / 2 or (0 < abs(wanted) - abs(value) < unit and value * wanted > 0)
