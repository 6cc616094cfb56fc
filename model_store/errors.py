"""The errors of this package. Each message says what was given, what was expected, what to do."""

from __future__ import annotations


class ModelError(Exception):
    """Anything that this package refuses; the message is a sentence for the user."""


class InvalidEntry(ModelError):
    """A model entry, or a part of one, that cannot be read or does not fit together."""


class MissingFile(ModelError):
    """A file of a model that is not there; the message says which and where to put it."""


class WrongWeights(ModelError):
    """Weights whose hash is not the published one, or not the one that was recorded."""


class MissingHead(ModelError):
    """A mode whose trained weights do not exist yet; the message says which command makes them."""


class InvalidHead(ModelError):
    """A head file that is damaged, or was made for another model or other findings."""


class UnsuitableLayer(ModelError):
    """A layer from which no saliency map can come; the message says why."""


class TrainingFailed(ModelError):
    """Training data or a training run that cannot give a usable head."""


class Diverged(TrainingFailed):
    """A training whose loss is no number any more: going on with it leads nowhere."""


class OutOfMemory(ModelError):
    """A card on which not even one picture fits beside the network."""


class TrainingCancelled(ModelError):
    """A training that was stopped on request; no head was saved."""


class UnknownMethod(ModelError):
    """A saliency method or a mode that does not exist; the message names those that do."""
