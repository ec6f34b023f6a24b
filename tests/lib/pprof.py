"""Reads profile.proto, the format of pprof, with nothing but its field numbers:

    profile = pprof.read(path)
    profile.types                                       [("alloc_objects", "count"), ...]
    for stack, values in profile.samples: ...           stack: frames, innermost first; values as types
"""
import collections
import gzip

Frame = collections.namedtuple("Frame", "function file line inlined mapping")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """Every field of a message: its number, and an int or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
            if len(value) != length:
                raise ValueError("a field is longer than its message")
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def packed(value):
    at, numbers = 0, []
    while at < len(value):
        number, at = varint(value, at)
        numbers.append(number - (1 << 64) if number >> 63 else number)
    return numbers


class Message:
    def __init__(self, data):
        self.field = collections.defaultdict(list)
        for number, value in fields(data):
            self.field[number].append(value)

    def one(self, number, default=0):
        return self.field[number][-1] if number in self.field else default


class Profile:
    def __init__(self, data):
        whole = Message(data)
        self.strings = [text.decode() for text in whole.field[6]]
        if self.strings[0] != "":
            raise ValueError("string 0 is not empty")
        text = self.strings.__getitem__
        self.types = [(text(m.one(1)), text(m.one(2))) for m in map(Message, whole.field[1])]
        self.mappings = {m.one(1): (text(m.one(5)), text(m.one(6))) for m in map(Message, whole.field[3])}
        functions = {m.one(1): (text(m.one(2)), text(m.one(4))) for m in map(Message, whole.field[5])}
        self.locations = {}
        for m in map(Message, whole.field[4]):
            lines = [Message(line) for line in m.field[4]]
            self.locations[m.one(1)] = [Frame(*functions[line.one(1)], line.one(2), i + 1 < len(lines), m.one(2)) for i, line in enumerate(lines)]
        self.samples = []
        for m in map(Message, whole.field[2]):
            ids = [number for value in m.field[1] for number in packed(value)]
            self.samples.append(([frame for number in ids for frame in self.locations[number]], [v for value in m.field[2] for v in packed(value)]))
        self.default_type = text(whole.one(14))
        self.duration_ns = whole.one(10)


def read(path):
    with gzip.open(path) as file:
        return Profile(file.read())
