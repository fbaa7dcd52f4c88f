"""Converts errors of the Hub to one-line messages that contain no token."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar


_Error = TypeVar("_Error", bound=BaseException)

HIDDEN = "<hidden>"

# Names such as `token`, `hub_token`, `openai-api-key`, or `base_url`, which may be a private server; not `eos_token`
# or `max_tokens`
_SECRET = r"(?:(?:\w+[-_])*(?:api[-_]?key|base[-_]?url|secret|password)|(?:(?:\w+[-_])*(?:hub|hf|auth|access|api)[-_])?token)"
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
# A Hub token anywhere, the value after an option or variable that names a secret, and a password in a URL
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{16,}\b")
_OPTION = re.compile(
    rf"(?P<name>(?<![\w-])--?{_SECRET}(?:=|\s+)|\b[A-Z][A-Z0-9_]*(?:TOKEN|API_KEY|BASE_URL|SECRET|PASSWORD)=)"
    r"(?P<value>'[^']*'|\"[^\"]*\"|\S+)"
)
# The name that a build uses for a server's model without a name
_SERVER = re.compile(r"(?<=\bthe model of )https?://[^\s,]+?(?=[.,]*(?:\s|$))")
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")


class PublishError(OSError):
    """
    Raised when nothing, or only a part, was published. The message gives the cause, the fix and the folder of the
    files.

    After a partial upload, call the same function again: it does not send files again that the Hub already has.
    """


def redact(text: str, token: str | bool | None = None) -> str:
    """
    Replaces tokens, passwords, API keys and server addresses in a text that is published or displayed.

    Args:
        text (`str`):
            Any text, such as a command line.
        token (`str` or `bool`, *optional*):
            The token in use. The token of the environment or of `hf auth login` is always hidden.

    Returns:
        `str`: The text with `<hidden>` in place of each secret.
    """
    from huggingface_hub import get_token

    for secret in (token, get_token()):
        if isinstance(secret, str) and secret.strip():
            text = text.replace(secret.strip(), HIDDEN)
    text = _OPTION.sub(lambda match: match["name"] + HIDDEN, _TOKEN.sub(HIDDEN, text))
    return _URL_PASSWORD.sub(HIDDEN, _SERVER.sub(HIDDEN, text))


def clean_token(token: str | bool | None) -> str | bool | None:
    """
    Removes surrounding whitespace from a token, as when it was read from a file.

    Raises:
        ValueError: If it cannot be a token. The client would quote it in its error and log.
    """
    if not isinstance(token, str):
        return token
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            "`token` is empty or contains characters that no token has, such as whitespace; copy it again."
        )
    return token


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings except those whose name indicates a token, key, password or server address."""
    return {
        name: without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if not _SECRET_NAME.fullmatch(str(name))
    }


def waits_in(folder: str | os.PathLike[str]) -> str:
    """Returns the part of an error message that names the folder of files for the next upload."""
    return f"the files are kept in {folder}, and the same command finishes the upload"


@contextmanager
def explain_failures(action: str, token: str | bool | None = None, kept: str | None = None) -> Iterator[None]:
    """
    Converts every error of the Hub's client to a [`PublishError`] with a one-line message.

    Args:
        action (`str`):
            The action that failed, as in `"publish the dataset me/rows"`.
        token (`str` or `bool`, *optional*):
            The token in use.
        kept (`str`, *optional*):
            Text on where the files are kept and how to upload them; see [`waits_in`].
    """
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except PublishError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        sentence = f"could not {action}: {_reason(error, token)}"
        if kept is not None:
            sentence += f"; {kept}"
        raise PublishError(redact(" ".join(sentence.split()), token) + ".") from None


def _reason(error: BaseException, token: str | bool | None) -> str:
    """Returns the cause and the fix, without the full stop."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)

    def first(kind: type[_Error]) -> _Error | None:
        return next((link for link in chain if isinstance(link, kind)), None)

    if first(OfflineModeIsEnabled):
        return "offline mode is on; unset HF_HUB_OFFLINE"
    log_in = "run `hf auth login` or set HF_TOKEN"
    anonymous = token is False or not (token or get_token())
    answer = first(HfHubHTTPError)
    if first(LocalTokenNotFoundError) or (answer is not None and answer.response.status_code == 401 and anonymous):
        return f"the Hub asks for a token, and there is none; {log_in}"
    if first(RevisionNotFoundError):
        return "the repository has no such revision"
    if first(RepositoryNotFoundError):
        return "there is no such repository, or the token may not see it"
    if answer is not None:
        status, said = answer.response.status_code, (answer.server_message or "").rstrip(" .")
        quoted = f" ({said})" if said else ""
        if status == 401:
            return (
                f"the Hub does not accept the token; {log_in}, with a token from {constants.ENDPOINT}/settings/tokens"
            )
        if status == 403:
            return f"the token has no right to do that{quoted}; it needs the role `write` for this namespace"
        if status in (409, 412):
            return f"the repository has changed in the meantime{quoted}; try again"
        if status == 429:
            return "the Hub has received too many requests (429); wait a few minutes"
        if status >= 500:
            return f"the Hub reports an internal error ({status}); try again later"
        return f"the Hub refuses it with status {status}{quoted}"
    transport = first(HTTPError)
    if transport is not None:
        return f"the connection to {constants.ENDPOINT} failed ({transport or type(transport).__name__})"
    return str(error).rstrip(" .") or type(error).__name__
