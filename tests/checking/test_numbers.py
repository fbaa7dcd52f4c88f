"""How numbers are read: value, decimals, percent sign and unit."""

from fractions import Fraction

import pytest

from reflection_trl.checking.numbers import Number, equal_numbers, read_number, split_unit


F = Fraction
READ = {
    # Signs, decimals
    "5": Number(F(5)),
    "+5": Number(F(5)),
    "-5": Number(F(-5)),
    "- 5": Number(F(-5)),
    "$-5": Number(F(-5), unit="dollar"),
    "-$5": Number(F(-5), unit="dollar"),
    "5.": Number(F(5)),
    "-0.25": Number(F(-1, 4), 2),
    ".5": Number(F(1, 2), 1),
    "1,234,567.80": Number(F(12345678, 10), 2),
    "1 234": Number(F(1234)),
    "9" * 200: Number(F(10**200 - 1)),
    # Exponents
    "1.25e1": Number(F(25, 2), 1),
    "1.5E3": Number(F(1500), 0),
    "2e-2": Number(F(1, 50), 2),
    r"2 \times 10^{-3}": Number(F(1, 500), 3),
    r"2 \cdot 10^2": Number(F(200)),
    "2 x 10**+2": Number(F(200)),
    "1e400": Number(F(10) ** 400),
    "1e-400": Number(F(10) ** -400, 400),
    # Fractions
    r"\frac{3}{4}": Number(F(3, 4), None),
    r"\frac34": Number(F(3, 4), None),
    r"\frac{-1.5}{2}": Number(F(-3, 4), None),
    "-3/4": Number(F(-3, 4), None),
    "0/5": Number(F(0), None),
    "2 3/4": Number(F(11, 4), None),
    r"-2\frac{3}{4}": Number(F(-11, 4), None),
    r"1.\overline{3}": Number(F(4, 3), None),
    r"-0.1\bar{6}": Number(F(-1, 6), None),
    r".\overline{09}": Number(F(1, 11), None),
    r"0.1\dot6": Number(F(1, 6), None),
    # Percent
    "50%": Number(F(50), percent=True),
    "12.5 percent": Number(F(25, 2), 1, percent=True),
    "50 Per Cent": Number(F(50), percent=True),
    "50 pct": Number(F(50), percent=True),
    "50% off": Number(F(50), percent=True, unit="off"),
    "50% profit": Number(F(50), percent=True, unit="profit"),
    # Words for numbers
    "2 hundred": Number(F(200)),
    "2 thousand": Number(F(2000)),
    "2 Million": Number(F(2 * 10**6)),
    "2 billions": Number(F(2 * 10**9)),
    "1.5 trillion": Number(F(15 * 10**11), 1),
    "2 dozen eggs": Number(F(24), unit="egg"),
    # Currencies
    "$5": Number(F(5), unit="dollar"),
    "5€": Number(F(5), unit="euro"),
    "5 €": Number(F(5), unit="euro"),
    "£5 million": Number(F(5 * 10**6), unit="pound"),
    "¥5": Number(F(5), unit="yen"),
    "₹5": Number(F(5), unit="rupee"),
    "5¢": Number(F(5), unit="cent"),
    "$5 dollars": Number(F(5), unit="dollar"),
    "$5 per day": Number(F(5), unit="dollar"),
    # Units
    "5 apples": Number(F(5), unit="apple"),
    "5 cm": Number(F(5), unit="centimeter"),
    "5cm": Number(F(5), unit="centimeter"),
    "5 m": Number(F(5), unit="meter"),
    "5km": Number(F(5), unit="kilometer"),
    "5cats": Number(F(5), unit="cat"),
    "5 square": Number(F(5), unit="square"),
    "5kilos": Number(F(5), unit="kilo"),
    "5 day": Number(F(5), unit="day"),
    "5 Cities": Number(F(5), unit="city"),
    "5 boxes": Number(F(5), unit="box"),
    "5 dishes": Number(F(5), unit="dish"),
    "5 classes": Number(F(5), unit="class"),
    "5 buses": Number(F(5), unit="buse"),  # alike on both sides is enough
    "5 glass": Number(F(5), unit="glass"),
    "5 cactus": Number(F(5), unit="cactus"),
    "5 pies": Number(F(5), unit="pie"),
    "5 gas": Number(F(5), unit="gas"),
    "5 ft": Number(F(5), unit="foot"),
    "5 feet": Number(F(5), unit="foot"),
    "5 hrs": Number(F(5), unit="hour"),
    "5 people": Number(F(5), unit="person"),
    "5 miles per hour": Number(F(5), unit="mile hour"),
    "5 mph": Number(F(5), unit="mile hour"),
    "5 km/h": Number(F(5), unit="kilometer hour"),
    "5/day": Number(F(5), unit="day"),
    "5 sq. ft.": Number(F(5), unit="foot2"),
    "5 Square Feet": Number(F(5), unit="foot2"),
    "5 feet squared": Number(F(5), unit="foot2"),
    "5 ft^2": Number(F(5), unit="foot2"),
    "5 ft^{3}": Number(F(5), unit="foot3"),
    "5 cu ft": Number(F(5), unit="foot3"),
    "5 m²": Number(F(5), unit="meter2"),
    "5 m³": Number(F(5), unit="meter3"),
    "5 (cm)": Number(F(5), unit="centimeter"),
    "5 degrees C": Number(F(5), unit="degree celsius"),
    "5th": Number(F(5)),
    "1st": Number(F(1)),
    "2nd": Number(F(2)),
    "3rd": Number(F(3)),
    "5 times": Number(F(5)),
}  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_numbers_are_read(text):
    assert read_number(text) == READ[text]


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "five", "--5", "-$-5", "+-5", "5 6", "1,23", "5x", "5 x", "5xy", "5x y", "5abc", "5 per", "5(m)", "5 (x)", "5/x", "5/ab", "5+3", "5=5", "5 cm 6", "$5 euros",
        "£5 dollars", "3 5/2", "3 3/2", "3 5/5", "2 0/3", "1/0", r"\frac{1}{0}", "9" * 201, "1e401", "1e-401", r"0.\overline{3}4", "5million", "5 and",
        "5 or 6", "5 Squared", "5 halves", "5 pi", "5 sin", "5 more than two", "5 Lakh", "5 million million", "5% x", "5 squared",
    ],
)  # fmt: skip
def test_other_texts_are_no_numbers(text):
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number(F(5)), "5"),
        (Number(F(1, 2), 1), "1/2"),
        (Number(F(50), percent=True), "1/2"),
        (Number(F(5), unit="egg"), "5"),
    ],
)
def test_numbers_as_text(number, text):
    assert str(number) == text


@pytest.mark.parametrize(
    ("expected", "got", "equal"),
    [
        ("1/3", "0.333333", True), ("0.333333", "1/3", True), ("1/3", "0.33333", False), ("2/3", "0.6666667", True), ("2/3", "0.6666666", True),
        ("2/3", "0.6666668", False), ("2/3", "0.6666665", False), ("-2/3", "-0.6666666", True), ("-2/3", "0.6666667", False),
        ("7/3", "2.33333", False), ("7/3", "2.333333", True), ("-2/3", "0.6666666", False), ("5/9", "0.5555556", True),
        ("1025/1024", "1.000977", True), ("1/8", "0.1250001", False), ("3/40", "0.0750001", False), ("0.333333", "0.3333333", False),
        ("1/7", "0.142857", True), ("1/70", "0.014286", False), ("1/70", "0.0142857", True), ("1/300", "0.003333333", True),
        ("1%", "1", True), ("1", "1%", True), ("0.5", "0.5%", False), ("1/2", "50%", True), ("50%", "0.5", True), ("50%", "50", True), ("-2", "-2%", True),
        ("5 cm", "5 m", False), ("5 cm", "5", True), ("5", "5 cm", True), ("5 cm", "5 centimeters", True),
    ],
)  # fmt: skip
def test_equal_numbers(expected, got, equal):
    assert equal_numbers(read_number(expected), read_number(got)) is equal


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"\sqrt{2} meters", (r"\sqrt{2}", "meter")), (r"\sqrt{2} sq. ft.", (r"\sqrt{2}", "foot2")), (r"\sqrt{2} day", (r"\sqrt{2}", "day")), (r"\sqrt{2} x", (r"\sqrt{2} x", "")),
        (r"\sqrt{2} and", (r"\sqrt{2} and", "")), ("(3) cm", ("(3)", "centimeter")), ("() cm", ("() cm", "")), ("x cm", ("x cm", "")),
    ],
)  # fmt: skip
def test_units_of_expressions(text, parts):
    assert split_unit(text) == parts
