"""Command-line flags. The webui runs this file before anything else, without this folder on its path."""

import argparse


def _gigabytes(text):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size; give a number of GB from 0 to 1000, for example 2 or 0.5"
        )
    return value


def preload(parser):
    parser.add_argument(
        "--multipass-keep",
        type=str.lower,
        choices=["automatic", "vram", "ram", "webui"],
        default=None,
        help="the most that Multipass may do to keep checkpoints loaded: as the free memory allows, in VRAM, in RAM, "
        "or only what the webui's own settings keep",
    )
    parser.add_argument(
        "--multipass-vram-reserve",
        type=_gigabytes,
        metavar="GB",
        default=None,
        help="VRAM that Multipass leaves free beside checkpoints and pictures (default: the setting, 0.5)",
    )
    parser.add_argument(
        "--multipass-fast-swaps",
        type=str.lower,
        choices=["on", "off"],
        default=None,
        help="whether checkpoints that wait in RAM come to the card as fast as its bus allows (default: the setting)",
    )
    parser.add_argument(
        "--multipass-ram-reserve",
        type=_gigabytes,
        metavar="GB",
        default=None,
        help="RAM that Multipass leaves free beside checkpoints (default: the setting, 2)",
    )
