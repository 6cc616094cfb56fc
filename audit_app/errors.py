"""The errors of this package; each message is a sentence that may be shown to the user."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError
from model_store.errors import ModelError

log = logging.getLogger(__name__)

# What the workspace's folder is called on the page, as in the commands that README shows.
WORKSPACE_NAME: Final = "W"


class AuditError(Exception):
    """Anything that the product refuses."""


# What is refused on purpose; each message is a sentence that anybody may read.
DOMAIN_ERRORS: Final = (AnnotationError, AuditError, ModelError)


def sentence_for_page(error: Exception, root: Path) -> str:
    """The error's sentence without the machine's path of the workspace, which the log keeps.

    Args:
        error: One of ``DOMAIN_ERRORS``.
        root: The workspace's folder; the sentence calls it W.
    """
    whole = str(error)
    sentence = whole.replace(str(root), WORKSPACE_NAME)
    if sentence != whole:
        log.error("%s", whole)
    return sentence


def describe_disk_error(error: OSError) -> str:
    """What the system refused, for a page: without the file, whose name may name a patient."""
    return (
        f"the computer that runs this program refused: {error.strerror or type(error).__name__}; "
        "let somebody there look at the free space and the rights, then try again"
    )


def place_of(error: BaseException) -> str:
    """Type and place of an unexpected error, without its values: they may name patients."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__} in {Path(frames[-1].filename).name}:{frames[-1].lineno}"
