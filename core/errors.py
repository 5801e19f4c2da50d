"""Every error a caller can meet, each with the HTTP status and OpenAI code it becomes.

CoreError
├── InvalidRequest            400  the request is at fault; `param` names the field
│   ├── ContextLengthExceeded 400  prompt and completion do not fit
│   ├── Unauthorized          401  no key, or a wrong one
│   ├── UnknownModel          404
│   ├── UnknownRoute          404
│   ├── MethodNotAllowed      405
│   └── BodyTooLarge          413
├── Busy                           try again after `retry_after` seconds
│   ├── QueueFull             429
│   ├── ModelLoading          503
│   ├── DeadlineExceeded      503  the host's or the caller's time limit
│   └── ShuttingDown          503
├── ModelUnusable             500  a model's files or configuration are at fault
│   └── ConfigFault           500  ... and it is known which key (core.config.problem)
├── DecodeFailed              500  llama.cpp or torch failed while computing
├── StoreError                500  a download or a file beside the weights failed
└── BadSetting                500  a variable of the environment cannot be read (handlers.settings)
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self


class CoreError(Exception):
    """Base of all errors; `message` is written for the person who must act on it."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details = details

    def body(self) -> dict[str, Any]:
        """OpenAI's error object, with any further facts (token counts, limits) beside its four fields."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error | self.details}

    def headers(self) -> dict[str, str]:
        return {}

    def anew(self) -> Self:
        """The same error for one more caller. One that is raised for all of them would keep what each was doing, for
        ever, as the frames of its traceback."""
        twin = type(self).__new__(type(self), *self.args)
        vars(twin).update(vars(self))
        twin.__cause__ = self.__cause__
        return twin


class InvalidRequest(CoreError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"


class Unauthorized(InvalidRequest):
    status = 401
    code = "invalid_api_key"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class UnknownModel(InvalidRequest):
    status = 404
    code = "model_not_found"


class UnknownRoute(InvalidRequest):
    status = 404
    code = "unknown_url"


class MethodNotAllowed(InvalidRequest):
    status = 405
    code = "method_not_allowed"


class BodyTooLarge(InvalidRequest):
    status = 413
    code = "request_too_large"


class Busy(CoreError):
    """The request was not accepted; it may be sent again after `retry_after` seconds, or not at all if that is None."""

    status = 503
    type = "overloaded_error"
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float | None = 1.0, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = None if retry_after is None else max(1, math.ceil(retry_after))

    def headers(self) -> dict[str, str]:
        # The second is what OpenAI's clients go by.
        return {"x-should-retry": "false"} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class QueueFull(Busy):
    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class ModelLoading(Busy):
    code = "model_loading"


class DeadlineExceeded(Busy):
    code = "deadline_exceeded"


class ShuttingDown(Busy):
    code = "shutting_down"


class ModelUnusable(CoreError):
    code = "model_unusable"


class DecodeFailed(CoreError):
    code = "decode_failed"


class StoreError(CoreError):
    code = "store_error"
