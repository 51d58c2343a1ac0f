"""The memory budget: parsing of sizes, batch sizes, and halving of batches."""

import numpy as np
import pytest
import torch

import neurflow
from neurflow.errors import RequestError, WorkError
from neurflow.runtime.memory import IMAGES, Batch, Budget, memory_bytes, rounded_batch
from neurflow.runtime.progress import Silent


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("2GiB", 2**31),
        ("512 MiB", 2**29),
        ("1.5g", 15 * 10**8),
        (2**20, 2**20),
        ("1048576", 2**20),
    ],
)
def test_memory_sizes_are_parsed(text, expected):
    assert memory_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "many", "-1GB", "2 apples", "10", 0, "1e9x", "inf", "nanGB", "1" * 400 + "GB"]
)
def test_invalid_memory_sizes_are_refused_with_an_example(text):
    with pytest.raises(RequestError, match="2GB"):
        memory_bytes(text)


def test_a_batch_uses_a_quarter_and_at_least_one_item():
    budget = Budget("64MiB", Silent())
    assert budget.features == 2**25
    assert budget.batch(2**20).size == 16
    assert budget.batch(2**30).size == 1
    assert budget.batch(1).size == 64


class Limited:
    """Work that runs out of memory with more than a number of items at once."""

    def __init__(self, most, error):
        self.most, self.error, self.calls = most, error, []

    def __call__(self, items):
        self.calls.append(len(items))
        if len(items) > self.most:
            raise self.error
        return items * 10


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_batches_that_do_not_fit_are_halved(error):
    listener, work = Notes(), Limited(3, error)
    batch = Batch(16, listener)
    found = list(batch.map(work, np.arange(20)))
    assert np.concatenate([part for part, _ in found]).tolist() == list(range(20))
    assert np.concatenate([result for _, result in found]).tolist() == list(range(0, 200, 10))
    assert work.calls[:4] == [16, 8, 4, 2]
    assert batch.size == 2  # a size that did not fit is not tried again
    assert len(listener.notes) == 3
    assert "Out of memory with 16 at once; continuing with 8" in listener.notes[0]


def test_a_single_item_that_does_not_fit_is_an_error():
    for error in (MemoryError(), MemoryError("out of memory.")):
        with pytest.raises(WorkError, match=r"for a single crop: out of memory\. Free some"):
            list(Batch(4, Silent()).map(Limited(0, error), np.arange(4)))


def test_other_failures_are_not_treated_as_out_of_memory():
    with pytest.raises(RuntimeError, match="shapes"):
        list(Batch(4, Silent()).map(Limited(0, RuntimeError("shapes differ")), np.arange(4)))


def test_the_batch_size_is_the_same_for_all_usual_budgets():
    model = neurflow.load_model("torchvision:resnet18", "random")
    sizes = {
        model.batch(Budget(memory, Silent())).size for memory in ("512MB", "1GB", "2GB", "64GB")
    }
    assert sizes == {IMAGES}
    assert model.batch(Budget("40MB", Silent())).size == 1


def test_batches_on_a_gpu_have_few_sizes():
    gpu, processor = torch.device("cuda"), torch.device("cpu")
    sizes = [rounded_batch(count, gpu) for count in range(1, 257)]
    assert all(count <= size <= 1.25 * count for count, size in enumerate(sizes, start=1))
    assert len(set(sizes)) == 28
    assert [rounded_batch(count, processor) for count in (0, 5, 77)] == [0, 5, 77]
