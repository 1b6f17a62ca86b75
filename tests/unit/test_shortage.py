"""Whose memory an error says was short."""

from __future__ import annotations

import errno

import pytest

from lib_multipass.memory.shortage import COMPUTER, DEVICE, lack_of

DIRECTML = "There is not enough GPU video memory available!"


def windows(number, text):
    error = OSError(errno.EINVAL, text)
    error.winerror = number
    return error


class SafetensorError(Exception):
    """As the library's own, which is of its Rust module."""


SafetensorError.__module__ = "safetensors_rust"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA error: out of memory"), DEVICE),
        (RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"), DEVICE),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), DEVICE),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), DEVICE),
        (RuntimeError("CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`"), DEVICE),
        (
            RuntimeError(
                "Could not allocate tensor with 4915840 bytes. There is not enough GPU video memory available!"
            ),
            DEVICE,
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.59 GB, max allowed: 18.13 GB)."), DEVICE),
        (RuntimeError("XPU out of memory. Tried to allocate 1.71 GiB (GPU 0; 15.56 GiB total capacity)"), DEVICE),
        (RuntimeError("Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"), DEVICE),
        (MemoryError(), COMPUTER),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
            COMPUTER,
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), COMPUTER),
        (RuntimeError("unable to mmap 2132856686 bytes from file <a.ckpt>: Cannot allocate memory (12)"), COMPUTER),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), COMPUTER),
        (windows(1455, "Die Auslagerungsdatei ist zu klein, um diesen Vorgang durchzuführen"), COMPUTER),
        (windows(8, "Für diesen Befehl ist nicht genügend Speicher verfügbar"), COMPUTER),
        (
            OSError("El archivo de paginación es demasiado pequeño para completar la operación. (os error 1455)"),
            COMPUTER,
        ),
        (RuntimeError("Couldn't open file mapping: <torch_1>, error code: <1455>"), COMPUTER),
        (OSError("[WinError 1455] Le fichier de pagination est insuffisant"), COMPUTER),
        (SafetensorError("The paging file is too small for this operation to complete. (os error 1455)"), COMPUTER),
        (None, None),
        (windows(5, "Access is denied"), None),
        (OSError(errno.ENOENT, "No such file or directory: out_of_14550"), None),
        (RuntimeError("Expected all tensors to be on the same device"), None),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), None),
        (ValueError("the prompt says: out of memory"), None),
        (SafetensorError("Error while deserializing header: InvalidHeader"), None),
    ],
)
def test_whose(error, expected):
    assert lack_of(error) == expected


def fail(error, **more):
    if "cause" in more:
        raise error from more["cause"]
    raise error


def chained(first, later, how):
    try:
        try:
            fail(first)
        except Exception as error:
            fail(later, **{"cause": {"cause": error, "hidden": None}[how]} if how != "context" else {})
    except Exception as error:
        return error


@pytest.mark.parametrize("how", ["cause", "context", "hidden"])
def test_what_fails_while_it_is_handled_is_a_consequence(how):
    short, later = MemoryError(), RuntimeError("the model is not whole")
    assert lack_of(chained(short, later, how)) == COMPUTER
    assert lack_of(chained(ValueError(), later, how)) is None


def test_a_circle_of_errors_ends():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert lack_of(one) is None
