"""Reads chat rows in all published forms: the result has `messages` with roles and contents, and `type`.

| form | columns | becomes |
|---|---|---|
| messages | `messages`: a list of turns, or such a list as JSON | itself |
| prompt and completion | `prompt`, `completion`: texts, or lists of turns | the turns of both |
| ShareGPT | `conversations`: turns with `from` and `value` | turns with `role` and `content` |

The content of a turn may be a list of text parts, as in OpenAI's API. Empty keys and columns count as absent, because
Arrow fills missing values with `None`. Columns that would change the prompt but are not rendered here, such as tool
calls, raise an error and are never ignored silently.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from .quoting import list_names, quote, quote_error


# The columns of each form, in the order of the search
FORMS: tuple[tuple[str, ...], ...] = (("messages",), ("prompt", "completion"), ("conversations",))
ROWS_NEED = (
    "rows need `messages` (a list of turns), `prompt` and `completion`, or ShareGPT's `conversations`; plain conversations need no "
    "`type`, reflection rows need `type: reflection`"
)

_SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "observation": "tool", "function_response": "tool"}
# Columns that change how a chat template writes a turn, and are not rendered here
_UNREAD_KEYS = ("tool_calls", "function_call", "reasoning_content", "reasoning", "thinking")
# Keys that keep a turn out of the loss, or change its weight, in OpenAI's API and other trainers
_WEIGHT_KEYS = ("weight", "train")
_UNREAD_COLUMNS = {
    "tools": "write the tools into the system turn",
    "functions": "write the functions into the system turn",
    "chat_template_kwargs": "set `chat_template_kwargs` in the training's configuration, for all rows",
}
_SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")


def find_form(columns: Collection[str]) -> tuple[str, ...] | None:
    """
    Finds the form of a dataset from its columns.

    Args:
        columns (`Collection[str]`):
            Names of the columns.

    Returns:
        `tuple[str, ...]`, *optional*: The columns of the form; `None` if no form matches.
    """
    return next((form for form in FORMS if set(form) <= set(columns)), None)


def read_row(row: Mapping[str, Any], where: str = "row") -> dict[str, Any]:
    """
    Reads a row of any form.

    Args:
        row (`Mapping`):
            Row in one of the forms above.
        where (`str`, *optional*, defaults to `"row"`):
            How errors name the row.

    Returns:
        `dict`: The row with `messages`, a list of turns with `role` and `content`, and `type`, which is `"generation"`
        if the row has none. Other columns are kept. [`~reflection_trl.sequences.validate_row`] checks whether the row
        can be trained on.

    Raises:
        ValueError: If the row has none of the forms. The one-line message names the row, the field and the fix.
    """
    if not isinstance(row, Mapping):
        raise ValueError(
            f"{where}: expected an object with `messages`, got {quote(row)}; write each row as one object."
        )
    form = find_form([column for column in row if row[column] is not None])
    if form is None:
        raise ValueError(f"{where}: `messages` and all its other forms are missing or empty; {ROWS_NEED}.")
    for column, fix in _UNREAD_COLUMNS.items():
        if row.get(column) not in (None, "", "[]", "{}", "null", [], {}):
            raise ValueError(f"{where}: `{column}` is set, but is not rendered here; {fix}, and drop the column.")
    if form == ("prompt", "completion"):
        turns = [
            *_turns_or_text(row["prompt"], "user", where, "prompt"),
            *_turns_or_text(row["completion"], "assistant", where, "completion"),
        ]
    else:
        turns = _turns(row[form[0]], where, form[0])
    for column in _SYSTEM_COLUMNS if turns[0]["role"] != "system" else ():
        system = row.get(column)
        if isinstance(system, str) and system.strip():
            raise ValueError(
                f"{where}: `{column}` is set, but is not rendered here; make it the first turn, with the role 'system', and drop the column."
            )
    row_type = row.get("type")
    kept = {column: value for column, value in row.items() if column not in form}
    return {**kept, "messages": turns, "type": "generation" if row_type is None else row_type}


def _turns_or_text(value: Any, role: str, where: str, column: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": value}] if isinstance(value, str) else _turns(value, where, column)


def _turns(value: Any, where: str, column: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except RecursionError:
            raise ValueError(f"{where}: `{column}` is JSON that is nested too deeply; give a list of turns.") from None
        except ValueError as error:  # also raised for numbers with more digits than Python converts
            raise ValueError(
                f"{where}: `{column}` is a string that is not JSON ({quote_error(error)}); give a list of turns, or such a list as JSON."
            ) from None
    if not isinstance(value, list) or not value:
        raise ValueError(
            f"{where}: `{column}` must be a list with at least one user and one assistant turn, got {quote(value)}; give each turn as "
            f"an object with `role` and `content`."
        )
    return [_turn(turn, where, f"{column}[{index}]") for index, turn in enumerate(value)]


def _turn(turn: Any, where: str, name: str) -> dict[str, Any]:
    given = {key: value for key, value in turn.items() if value is not None} if isinstance(turn, dict) else {}
    role = given.get("role", _sharegpt_role(given.get("from")))
    if role is None or ("content" not in turn and "value" not in turn):
        got = f"an object with {list_names(given)}" if given else quote(turn)
        raise ValueError(
            f"{where}: `{name}` must be an object with `role` and `content` (or ShareGPT's `from` and `value`), got {got}."
        )
    for key in _UNREAD_KEYS:
        if given.get(key):
            raise ValueError(
                f"{where}: `{name}.{key}` is set, but only `content` is rendered; move it into the content, in the form that the "
                f"model must write, or drop the key."
            )
    for key in _WEIGHT_KEYS:
        if role == "assistant" and given.get(key, 1) != 1:  # True is 1
            raise ValueError(
                f"{where}: `{name}.{key}` is {quote(given[key])}, but every assistant turn is trained on; drop the key, or drop the row if "
                f"this turn must not be trained on."
            )
    content = given.get("content", given.get("value"))
    read = {"role": role, "content": "".join(part["text"] for part in content) if _is_text_parts(content) else content}
    return read | ({"blocks": given["blocks"]} if given.get("blocks") else {})


def _sharegpt_role(sender: Any) -> Any:
    return _SHAREGPT_ROLES.get(sender, sender) if isinstance(sender, str) else sender


def _is_text_parts(content: Any) -> TypeGuard[list[dict[str, str]]]:
    # Typed blocks have `content` where OpenAI's parts have `text`
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(part, dict)
            and part.get("type") == "text"
            and isinstance(part.get("text"), str)
            and part.get("content") is None
            for part in content
        )
    )
