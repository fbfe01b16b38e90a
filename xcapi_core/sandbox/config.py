"""What the sandbox pretends: its pixels, the keys it accepts, its limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = [
    "DEMO_OAUTH_KEYS",
    "DEMO_PIXELS",
    "DEMO_PIXEL_TOKENS",
    "KeyRing",
    "OAuthKeys",
    "SandboxConfig",
    "SandboxPixel",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPixel:
    """One pixel, the ad account that it belongs to, and the account's event tags.

    `event_tags` are short tags ("o8z21"), each with a name for people. A conversion may spell its tag so or as
    `tw-{pixel_id}-{tag}`. `tag_types` are X's types of those whose name is not their type.
    """

    pixel_id: str
    account_id: str
    event_tags: Mapping[str, str]
    tag_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthKeys:
    """The four OAuth 1.0a keys of one app and user, and what X lets them do.

    `pixel_ids` is None where the user has access to every account; `permissions` are the user's roles there.
    """

    consumer_key: str
    consumer_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    user_id: str = "1234567890"
    ads_api_access: bool = True
    pixel_ids: frozenset[str] | None = None
    permissions: tuple[str, ...] = ("ACCOUNT_ADMIN",)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Every key that the sandbox accepts now. `pixel_tokens` maps a pixel to its tokens."""

    oauth: tuple[OAuthKeys, ...] = ()
    pixel_tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


DEMO_PIXELS = (
    SandboxPixel(
        pixel_id="o8z6j",
        account_id="18ce552mlaq",
        event_tags=MappingProxyType({"o8z21": "purchase", "o8z22": "sign_up"}),
    ),
    SandboxPixel(
        pixel_id="p9q7k",
        account_id="18ce553nmbr",
        event_tags=MappingProxyType({"p9q31": "purchase", "p9q32": "sign_up"}),
    ),
)
# Fake on sight, and 20 to 50 characters of one alphabet, as real ones are.
DEMO_OAUTH_KEYS = OAuthKeys(
    consumer_key="SandboxConsumerKey000000",
    consumer_secret="SandboxConsumerSecret0000NotARealSecret00000000000",  # noqa: S106  public, accepted by nobody else
    access_token="1234567890-SandboxAccessToken00000NotARealToken00",  # noqa: S106  as above
    access_token_secret="SandboxAccessTokenSecret00NotARealSecret00000",  # noqa: S106  as above
)
DEMO_PIXEL_TOKENS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "o8z6j": ("sandbox-pixel-token-o8z6j-not-a-real-token",),
        "p9q7k": ("sandbox-pixel-token-p9q7k-not-a-real-token",),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Everything the sandbox is told before it starts; the defaults make a working demo.

    `any_tag` accepts every event tag; `any_pixel` every pixel, with an account of its own and any event tag.
    `name_offending_values` is off where X's messages shall name nothing ("hashed_email is not …" without the value).
    `public_url` is the scheme and host that clients sign for, where that is not what the request's Host header says
    (a client that believes it talks to https://ads-api.x.com). `events_per_window` and `window_s` are X's rate budget
    of one ad account. `keep_conversions` and `keep_bytes` bound what is remembered for `GET /sandbox/conversions`.
    """

    pixels: tuple[SandboxPixel, ...] = DEMO_PIXELS
    keys: KeyRing = KeyRing(oauth=(DEMO_OAUTH_KEYS,), pixel_tokens=DEMO_PIXEL_TOKENS)
    api_version: str = "12"
    any_tag: bool = False
    any_pixel: bool = False
    name_offending_values: bool = True
    public_url: str | None = None
    events_per_window: int = 60_000
    window_s: float = 900.0
    timestamp_tolerance_s: float = 300.0
    max_conversions: int = 500
    max_body_bytes: int = 10 * 1024 * 1024
    keep_conversions: int = 100_000
    keep_bytes: int = 128 * 1024 * 1024
    random_seed: int | None = None

    def pixel(self, pixel_id: str) -> SandboxPixel | None:
        """Return the pixel, or None where the sandbox has no such pixel."""
        for pixel in self.pixels:
            if pixel.pixel_id == pixel_id:
                return pixel
        if self.any_pixel:
            return SandboxPixel(pixel_id=pixel_id, account_id=f"account-of-{pixel_id}", event_tags={})
        return None

    def accepts_any_tag(self, pixel: SandboxPixel) -> bool:
        """Say whether every event tag is good enough for this pixel."""
        return self.any_tag or (self.any_pixel and not pixel.event_tags)
