"""CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum that Secret Manager sends with every payload."""

__all__ = ["crc32c"]

_REVERSED_POLYNOMIAL = 0x82F63B78


def _table_entry(index: int) -> int:
    for _ in range(8):
        index = (index >> 1) ^ (_REVERSED_POLYNOMIAL if index & 1 else 0)
    return index


_TABLE = tuple(_table_entry(index) for index in range(256))


def crc32c(payload: bytes) -> int:
    """Return the checksum of `payload`."""
    crc = 0xFFFFFFFF
    for byte in payload:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
