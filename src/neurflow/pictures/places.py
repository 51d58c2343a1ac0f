"""Places of pictures: a folder, a file, a pattern such as ``photos/*.jpg``, or a list of these.

``~`` and ``$NAME`` are expanded. Pictures in another form (an archive, an array, a web page) are
refused with a suggestion.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from neurflow.errors import ImagesError, UnreadableImage
from neurflow.pictures.decoding import open_picture, suffixes
from neurflow.pictures.folders import find_pictures, name_of
from neurflow.runtime.paths import expanded, is_file

_CURES = {
    "is an archive. Unpack it, and give the folder.": "zip tar tgz gz bz2 xz 7z rar zst",
    "contains arrays. Load them in Python: neurflow.load_images(numpy.load(PATH), model)": "npy npz",
    "is a data set in a file. Load it in Python, and give the data set to neurflow.load_images, for "
    "example datasets.load_from_disk(FOLDER).": "arrow parquet h5 hdf5 tfrecord lmdb mdb beton pkl pt",
    "is not a raster format that Pillow decodes. Convert it to PNG or JPEG.": (
        "svg pdf heic heif jxl dcm nii cr2 nef arw dng mp4 avi mov mkv webm"
    ),
    "is a table of another kind. Save it as CSV with columns for the path and the label.": (
        "xlsx xls ods json jsonl"
    ),
}
_KINDS = {f".{ending}": cure for cure, endings in _CURES.items() for ending in endings.split()}


def cure_of(endings: Iterable[str]) -> str:
    """Return a suggestion for files with one of these extensions, or an empty string."""
    found = next((end for end in endings if end in _KINDS and end not in suffixes()), None)
    return f"A {found} file {_KINDS[found]}" if found else ""


def find(source: str | Path) -> Path | list[Path]:
    """Return the file or folder at a path, or the files that match a pattern.

    Raises:
        ImagesError: there is no such file, or it has no pictures in a supported form.
    """
    text = os.fspath(source)
    if not text.strip():
        raise ImagesError("The path of the images is empty. Give a folder; the current one is '.'.")
    url = re.match(r"([a-z][a-z0-9+]{1,9}):/{1,2}(?!/\Z)", text, re.IGNORECASE)
    if url and url[1].lower() == "file":
        text = _unquoted(text[url.end() - 1 :])
    elif url and not os.path.lexists(text):
        raise ImagesError(f"{name_of(text)!r:.200} is a web address. Download the pictures first.")
    path = expanded(text)
    try:
        if path.exists():
            _refuse_others(path)
            return path
        files = [Path(each) for each in sorted(glob.glob(os.fspath(path), recursive=True))]
    except (OSError, ValueError):  # a name that no file can have
        files = []
    if files and not all(map(Path.is_file, files)):
        raise ImagesError(f"{name_of(text)!r:.200} matches folders. Give their parent folder.")
    if files:
        return files
    raise ImagesError(
        f"There is no image or folder of images at {name_of(text)!r:.200}.{_near(text)}"
    )


def _unquoted(text: str) -> str:
    """Decode escapes such as ``%20`` in the address of a file."""
    letters = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(text)
    )
    return os.fsdecode(letters)


def _near(text: str) -> str:
    """Return a suggestion if the path exists without quotes, or with forward slashes."""
    plain = text.strip().strip("'\"")
    for other in (plain, plain.replace("\\", "/")):
        if other != text and os.path.exists(expanded(other)):
            return f" Did you mean {name_of(other)!r}?"
    return ""


def _refuse_others(path: Path) -> None:
    """Raise an error for a file with pictures in another form, unless it can be decoded."""
    cure = _KINDS.get(path.suffix.lower())
    if cure and path.is_file():
        try:
            open_picture(path)
        except UnreadableImage:
            raise ImagesError(f"{name_of(path)!r:.200} {cure}") from None


def find_all(sources: Sequence[str | Path]) -> tuple[list[Path], bool]:
    """Return the files of a list of paths, and whether it has folders or patterns.

    Raises:
        ImagesError: there is nothing at a path, or no picture in a folder.
    """
    files: list[Path] = []
    grouped = False
    for source in sources:
        path = expanded(source)
        if is_file(path):
            _refuse_others(path)
            files.append(path)
            continue
        found = find(source)
        grouped = True
        if isinstance(found, Path) and found.is_dir():
            inside = find_pictures(found).pictures
            if not inside:
                raise ImagesError(f"No pictures in {name_of(found)!r}.")
            found = list(inside)
        files += [found] if isinstance(found, Path) else found
    return files, grouped
