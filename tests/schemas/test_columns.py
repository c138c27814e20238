import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from schemas.columns import pack, unpack

NUMBERS = st.sampled_from(["<i8", ">i8", "<i4", "<i2", "|i1", "|u1", "<u8", "<f8", ">f4", "<f4"])


@given(st.lists(st.text()))
def test_strings_survive(texts: list[str]) -> None:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    (read,) = unpack(pack({"place": column})).values()
    assert read.tolist() == texts


@given(NUMBERS.flatmap(lambda dtype: npst.arrays(dtype, st.integers(0, 20))))
def test_numbers_survive_whatever_their_byte_order(values: npt.NDArray[np.generic]) -> None:
    (packed,) = pack({"n": values})
    assert not packed.dtype.startswith(">")
    (read,) = unpack([packed]).values()
    np.testing.assert_array_equal(read, values)
    assert read.dtype.kind == values.dtype.kind


def test_names_and_order_survive() -> None:
    columns = {"b": np.array([1.5, np.nan], dtype="<f4"), "a": np.array(["x", "đường"], dtype=object)}
    packed = pack(columns)
    assert [(column.name, column.dtype) for column in packed] == [("b", "<f4"), ("a", "utf8")]
    assert unpack(packed)["a"].tolist() == ["x", "đường"]
