import numpy as np

from processors.packing import SPARE, Packing
from processors.rows import Columns
from schemas.dictionary import Dictionary, DictionaryArray


def test_words_are_told_in_any_dictionary_and_forgotten_when_no_row_tells_them() -> None:
    packing = Packing({"line_id": DictionaryArray, "speed_mps": np.float32})
    told = Dictionary([b"", b"L1"])

    def packed(texts: list[str], dictionary: Dictionary) -> np.ndarray:
        numbers = dictionary.numbers([text.encode() for text in texts])
        columns: Columns = {
            "line_id": DictionaryArray(numbers, dictionary),
            "speed_mps": np.arange(len(texts), dtype=np.float32),
        }
        zeros = np.zeros(len(texts), np.uint64)
        return packing.pack(zeros + np.uint64((7 << 32) + 5), zeros, columns)

    def texts(rows: np.ndarray) -> list[str]:
        return packing.texts(rows)["line_id"].tolist()

    invented = [f"X{number}" for number in range(2 * SPARE)]
    rows = np.concatenate([packed(["L1", "", "L2"], told), packed(["L2", "L1"], Dictionary([b"L9", b"L1"]))])
    assert texts(packed(invented, told)) == invented
    packing.forget_words([rows])
    assert texts(rows) == ["L1", "", "L2", "L2", "L1"]
    assert packing.texts(rows)["line_id"].dictionary.words.tolist() == [b"L1", b"", b"L2"]
    assert texts(packed(["X1", "L2", "L1"], told)) == ["X1", "L2", "L1"]
    columns = packing.columns(rows)
    assert columns["speed_mps"].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0]
    assert columns["content_hash"].tolist() == [5] * 5
