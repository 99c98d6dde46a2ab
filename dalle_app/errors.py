"""Every error that a person may be shown.

    DalleError                 its text goes to the page, the API and the terminal as it is
    ├── InvalidRequest         what was asked for cannot be drawn; `field` names the culprit
    ├── InvalidRecipe          a link, a JSON text or a picture holds no recipe we can read
    ├── InvalidSetting         an environment variable has a value we cannot use
    ├── CheckpointError        weights are missing, damaged or of another model
    ├── FetchError             published weights could not be fetched
    ├── EngineError            the model or the machine could not finish the pictures
    ├── ProviderError          a server that speaks the Images API refused or failed
    ├── Busy                   too much is waiting already
    └── StorageError           the data folder cannot take any more

Each text is one or two sentences: what happened, and what to do. Anything that is not a DalleError
is a bug: it is logged with an id, and the page shows the id alone.
"""


class DalleError(Exception):
    """Base of the errors above. Catch this one to show its text."""


class InvalidRequest(DalleError):
    """The request cannot be drawn. `field` is the name of the ImageRequest field at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidRecipe(DalleError):
    """No recipe, or one that this version cannot read."""


class InvalidSetting(DalleError):
    """An environment variable has a value of the wrong kind."""


class CheckpointError(DalleError):
    """A checkpoint's files are missing, damaged or of another shape."""


class FetchError(DalleError):
    """A checkpoint's files could not be fetched. What has come is kept, unless it was wrong."""


class EngineError(DalleError):
    """The engine started and could not finish."""


class ProviderError(DalleError):
    """An Images API server answered with an error, or not at all."""


class Busy(DalleError):
    """The waiting line, or this visitor's share of it, is full."""


class StorageError(DalleError):
    """A file could not be written."""
