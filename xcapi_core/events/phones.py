"""Phone numbers in E.164, as the library that Google maintains reads them."""

import re
from functools import lru_cache
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.records import Record

__all__ = ["e164_of", "is_e164"]

# Nothing here that the library would take for anything but digits and what is written between them.
_INTERNATIONAL: Final = re.compile(r"\+[0-9][0-9 ().-]*")
_DIGITS: Final = re.compile(r"\+[0-9]+")
_BETWEEN_DIGITS: Final = str.maketrans("", "", " ().-")
_CALLING_CODE_LENGTHS: Final = (1, 2, 3)


def e164_of(text: str, region: str | None) -> str | Drop:
    """Return the E.164 number of a text, read as one of `region` where it is national; a leading 00 is a plus sign.

    `text` is trimmed. A number of possible length passes, assigned or not.
    """
    if text.startswith("00"):
        text = f"+{text[2:]}"
    if _INTERNATIONAL.fullmatch(text) is not None:
        number = text.translate(_BETWEEN_DIGITS)
        if is_e164(number):
            return number
    # Ten milliseconds of the start, and only for those whose events have phone numbers.
    import phonenumbers  # noqa: PLC0415

    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        lacks_region = region is None and error.error_type == error.INVALID_COUNTRY_CODE and "+" not in text
        return Drop.PHONE_WITHOUT_REGION if lacks_region else Drop.INVALID_PHONE
    if not phonenumbers.is_possible_number(parsed):
        return Drop.INVALID_PHONE
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


class _Numbering(Record, frozen=True, gc=False):
    """What the numbers of one calling code have in common: their lengths, and what is cut from their beginning."""

    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


def is_e164(number: str) -> bool:
    """Tell whether the library would read a plus sign and digits as just that number, in a thirtieth of its time.

    False says only that it has to be asked.
    """
    if _DIGITS.fullmatch(number) is None:
        return False
    for length in _CALLING_CODE_LENGTHS:
        numbering = _numbering_of(number[1 : 1 + length])
        if numbering is not None:
            national = number[1 + length :]
            return len(national) in numbering.lengths and not (numbering.prefix and numbering.prefix.match(national))
    return False


@lru_cache(maxsize=1_110)  # all texts of one to three digits
def _numbering_of(calling_code: str) -> _Numbering | None:
    import phonenumbers  # noqa: PLC0415

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code)) if calling_code[:1] != "0" else None
    if regions is None:
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(calling_code), regions[0])
    if metadata is None or metadata.general_desc is None:
        return None
    prefix = metadata.national_prefix_for_parsing
    return _Numbering(frozenset(metadata.general_desc.possible_length), re.compile(prefix) if prefix else None)
