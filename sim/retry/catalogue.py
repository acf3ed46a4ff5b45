"""Every backoff there is, as one union."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from sim.retry.backoff import (
    Backoff,
    Constant,
    DecorrelatedJitter,
    EqualJitter,
    Exponential,
    Fibonacci,
    FullJitter,
    Linear,
    NoWait,
    Poll,
)
from sim.retry.hints import Chain, ServerHint
from sim.retry.library import (
    Celery,
    ClientGo,
    Envoy,
    Finagle,
    GoogleApiCore,
    Grpc,
    LitlBackoff,
    Polly,
    PollyV2,
    RedisPy,
    RetryOnConflict,
    Sidekiq,
    Stamina,
    Temporal,
    TenacityExponential,
    TenacityExponentialJitter,
    TenacityIncrementing,
    TenacityRandom,
    TenacityRandomExponential,
    Urllib3,
)
from sim.retry.parts import Named
from sim.schema import OneOf

_Backoffs = (
    NoWait | Constant | Linear | Exponential | FullJitter | EqualJitter | DecorrelatedJitter | Fibonacci
    | Poll | ServerHint | Chain
    | TenacityRandom | TenacityExponential | TenacityRandomExponential | TenacityExponentialJitter
    | TenacityIncrementing | Stamina | LitlBackoff | GoogleApiCore | Urllib3 | RedisPy | Polly | PollyV2
    | Grpc | Envoy | Finagle | Celery | Sidekiq | ClientGo | RetryOnConflict | Temporal
)  # fmt: skip

AnyBackoff = Annotated[_Backoffs, OneOf("backoff"), Named()]
"""A backoff as a key of a policy: ``full_jitter`` or ``{full_jitter: {base: 20ms}}``."""

BACKOFFS: Final[dict[str, type[Backoff]]] = {choice.key: choice for choice in get_args(_Backoffs)}
"""Every backoff by name, in the order of the catalogue."""

for _made_of_others in (ServerHint, Chain):
    _made_of_others.model_rebuild(_types_namespace={"AnyBackoff": AnyBackoff})
