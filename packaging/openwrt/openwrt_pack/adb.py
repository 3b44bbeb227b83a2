# apk's ADB format: a tree of tagged 32-bit values in one block, blocks on borders of eight bytes.

from struct import pack

INT, INT_32, BLOB_8, BLOB_16, BLOB_32, ARRAY, OBJECT = 0x1, 0x2, 0x8, 0x9, 0xA, 0xD, 0xE
BLOCK_ADB, BLOCK_SIGNATURE, BLOCK_DATA = 0, 1, 2


class Tree:
    """Values as they are put one behind the other; a value is its kind and its place, 0 is none."""

    def __init__(self):
        # Two bytes of versions, two of nothing, and the root, which is known last.
        self.bytes = bytearray(8)
        self.seen = {}

    def root(self, value):
        self.bytes[4:8] = pack("<I", value)

    def number(self, number):
        if number < 0x10000000:
            return INT << 28 | number
        return INT_32 << 28 | self.put(pack("<I", number), 4)

    def blob(self, data, shared=True):
        if isinstance(data, str):
            data = data.encode()
        if not data:
            return 0
        kind, form, align = (BLOB_8, "<B", 1) if len(data) < 0x100 else (BLOB_16, "<H", 2) if len(data) < 0x10000 else (BLOB_32, "<I", 4)
        return kind << 28 | self.put(pack(form, len(data)) + data, align, shared)

    def array(self, values):
        return self.slots(ARRAY, list(values))

    def object(self, fields):
        """Fields by number, from 1."""
        fields = {number: value for number, value in fields.items() if value}
        return self.slots(OBJECT, [fields.get(number, 0) for number in range(1, max(fields, default=0) + 1)])

    def slots(self, kind, values):
        if not values:
            return 0
        # The first slot is the number of all of them, itself included.
        return kind << 28 | self.put(pack(f"<{len(values) + 1}I", len(values) + 1, *values), 4)

    def put(self, data, align, shared=True):
        if shared and (data, align) in self.seen:
            return self.seen[data, align]
        self.bytes += bytes(-len(self.bytes) % align)
        at = len(self.bytes)
        self.bytes += data
        if shared:
            self.seen[data, align] = at
        return at


def block(kind, data):
    """Two bits of kind and thirty of size, the word itself included; filled up to eight bytes."""
    size = len(data) + 4
    return pack("<I", kind << 30 | size) + data + bytes(-size % 8)
