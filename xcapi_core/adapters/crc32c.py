"""CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum that Secret Manager sends with every payload."""

__all__ = ["crc32c"]

_REVERSED_POLYNOMIAL = 0x82F63B78


def crc32c(payload: bytes) -> int:
    """Return the checksum of `payload`: bit by bit, since a secret has a few hundred bytes, every five minutes."""
    crc = 0xFFFFFFFF
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_REVERSED_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
