"""The properties of a correlator image server: the options of the process server, by their names, and more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.core import Properties, setting
from devices.core.errors import BadValueError
from devices.correlator.assembler import AssemblyPolicy
from devices.correlator.engine import RECEIVING
from devices.correlator.hooks import hooks_of
from devices.pipelines.search.band import SAMPLE_S, Band
from devices.pipelines.search.trials import WIDTHS, Trials, dm_trials

MOST_PROCESSES: Final = 40
#: Room for the gulps that come, one that is searched, and one that waits.
FEWEST_PROCESSES: Final = RECEIVING + 2
#: Bytes per element of what nodes send -> its type, as the process server has them.
DATASIZES: Final = {1: "i1", 2: "f2", 3: "i2", 4: "f4", 5: "i4", 8: "f8", 9: "i8", 16: "f16"}


def known_datasize(size: int) -> None:
    """Raises BadValueError."""
    if size not in DATASIZES:
        raise BadValueError(f"{size} is none of {', '.join(map(str, DATASIZES))}")


def odd(pixels: int) -> None:
    """Raises BadValueError."""
    if pixels % 2 == 0:
        raise BadValueError(f"{pixels} is not odd: the candidate's pixel has to be in the middle")


def absolute(path: str) -> None:
    """Raises BadValueError."""
    if path and not Path(path).is_absolute():
        raise BadValueError("not an absolute path")


def compute_device(text: str) -> None:
    """Raises BadValueError."""
    kind, _, number = text.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise BadValueError(f"{text!r} is neither cpu nor cuda nor cuda:NUMBER")


def one_of(*words: str) -> Callable[[str], None]:
    """A check that raises BadValueError for any other text."""

    def check(text: str) -> None:
        if text not in words:
            raise BadValueError(f"{text!r} is none of {', '.join(words)}")

    return check


def point_source(text: str) -> None:
    """Raises BadValueError: it is no file of a PSF, and no width."""
    kind, colon, fwhm = text.partition(":")
    if kind == "gaussian" and colon:
        try:
            if 0.5 <= float(fwhm) <= 100.0:
                return
        except ValueError:
            pass
        raise BadValueError(f"{text!r}: gaussian:FWHM, 0.5 to 100 pixels")
    absolute(text)


@dataclass(frozen=True)
class CorrelatorProperties(Properties):
    """What nodes send, what is searched for, and where results go. Names in snake_case are options of the process
    server; docs/correlator.md says where defaults differ and why."""

    # What nodes send
    gridsize: int = setting(300, doc="Pixels on a side of a sub-band's image", limits=(8, 4096))
    nsamps: int = setting(25, doc="Samples of a gulp", limits=(2, 1024))
    nchans: int = setting(16, doc="Sub-bands", limits=(1, 1024))
    sample_s: float = setting(SAMPLE_S, doc="Length of a sample, s", limits=(1e-4, 100.0))
    frequencies_mhz: tuple[float, ...] = setting(
        (), doc="Centres of sub-bands, sb00 first; empty: those of DSA-110", limits=(1.0, 1e6)
    )
    port: int = setting(8843, doc="Where nodes send to, when the service names none", limits=(0, 65535))
    datasize: int = setting(
        8, doc="Bytes per element of images whose header is not to be trusted", check=known_datasize
    )
    headersize: int = setting(128, doc="Bytes of the NumPy header before the data", limits=(0, 65536))
    testh23: bool = setting(False, doc="Whether one test client plays all sub-bands (-T)")
    maxconnect: int = setting(16, doc="Connections that may wait to be accepted", limits=(1, 4096))
    timeout: float = setting(10.0, doc="How long a connection may be silent within a message, s", limits=(0.1, 3600.0))

    # What is done with sub-bands that do not come as they should; `AssemblyPolicy` says more
    gulp_wait: float = setting(
        3.5, doc="A gulp that lacks sub-bands is searched so long after its first one came, s", limits=(0.01, 3600.0)
    )
    open_gulps: int = setting(2, doc="Gulps that may lack sub-bands at a time", limits=(1, MOST_PROCESSES))
    duplicates: str = setting(
        "first", doc="Which of two equal sub-bands is kept: first, last", check=one_of("first", "last")
    )
    late: str = setting(
        "refuse", doc="Sub-bands that come late: refuse, or drop and acknowledge", check=one_of("refuse", "drop")
    )
    when_full: str = setting(
        "drop_oldest",
        doc="Without a free slot: drop_oldest gulp that lacks sub-bands, or refuse the new one",
        check=one_of("drop_oldest", "refuse"),
    )
    restart: float = setting(
        60.0, doc="A gulp older than the last one by more begins the nodes' time anew, s", limits=(0.0, 1e9)
    )

    # The search
    snr_thresh: float = setting(6.0, doc="Threshold of candidates at the start, sigma", limits=(1.0, 1e6))
    dms: tuple[float, ...] = setting(
        (), doc="Trial dispersion measures at the start, pc/cm3; empty: as the gulp's length demands", limits=(0.0, 1e5)
    )
    widths: tuple[int, ...] = setting(WIDTHS, doc="Trial widths at the start, samples", limits=(1, 256))
    spacefilter: bool = setting(False, doc="Whether images are filtered by the point spread function (--spacefilter)")
    usefft: bool = setting(True, doc="Whether that is done by FFT")
    psf: str = setting(
        "gaussian:3",
        doc="Point spread function: gaussian:FWHM in pixels, or a .npy with the axes (channel, y, x)",
        check=point_source,
    )
    psf_energy: float = setting(
        0.999, doc="Part of its energy that the point spread function is cropped to", limits=(0.5, 1.0)
    )
    appendframe: bool = setting(True, doc="Whether the gulp before is looked back into")
    multithreading: bool = setting(False, doc="Whether the image is searched in nrows x ncols parts")
    nrows: int = setting(4, doc="Parts of the image along y, with multithreading", limits=(1, 64))
    ncols: int = setting(2, doc="Parts of the image along x, with multithreading", limits=(1, 64))
    dm_batches: int = setting(1, doc="Parts that the trials are searched in, for less memory", limits=(1, 64))
    samenoise: bool = setting(True, doc="One noise for all pixels of a channel")
    nocutoff: bool = setting(False, doc="Whether the drift of the sky between gulps is ignored")
    slow: bool = setting(False, doc="Whether bins of 5 samples are searched, too")
    imgdiff: bool = setting(False, doc="Whether means of whole gulps are searched, too")
    imgdiffgulps: int = setting(90, doc="Gulps of the constant sky that these are compared with", limits=(2, 1000))
    most_voxels: int = setting(100_000, doc="Voxels over the threshold that are looked at", limits=(1, 10_000_000))

    # The engine
    max_processes: int = setting(
        5,
        doc="Cubes in memory: received, waiting and searched together",
        limits=(FEWEST_PROCESSES, MOST_PROCESSES),
    )
    compute: str = setting("cpu", doc="Where the search runs: cpu, cuda, cuda:1", check=compute_device)
    cuda: bool = setting(False, doc="As --cuda: compute = cuda")
    threads: int = setting(2, doc="Processor threads of the search", limits=(1, 256))
    search_timeout: float = setting(60.0, doc="A search that takes longer is given up, s", limits=(1.0, 3600.0))

    # Candidates
    cluster: bool = setting(True, doc="Whether what belongs together is found by HDBSCAN")
    mincluster: int = setting(2, doc="Local maxima that make a cluster; others stay alone", limits=(2, 1000))
    maxcands: int = setting(50, doc="Candidates of a gulp, the strongest", limits=(1, 10_000))
    subimgpix: int = setting(11, doc="Pixels on a side of a candidate's cut-out; odd", limits=(1, 1001), check=odd)
    classify: bool = setting(True, doc="Whether a network says how probable it is that a candidate is RFI")
    model_weights: str = setting(
        "", doc="Weights of the network: absolute; empty: those that come along", check=absolute
    )
    pthreshold: float = setting(
        0.5, doc="A candidate whose probability of RFI is above triggers nothing", limits=(0, 1)
    )

    # What becomes of them
    results: str = setting("", doc="Folder of results; absolute; empty: nothing is written", check=absolute)
    most_candidates: int = setting(10_000, doc="Candidates whose files are kept, the newest", limits=(1, 10_000_000))
    most_gigabytes: float = setting(20.0, doc="Of all files of candidates, GB", limits=(0.001, 1e5))
    savesearch: bool = setting(False, doc="Whether each gulp's map of significances is written, too")
    exportmaps: bool = setting(False, doc="Whether each gulp's noise is written, too")
    hooks: tuple[str, ...] = setting(
        (), doc="Whom to tell of candidates, one a line: program: /path ARGUMENT... or python: module:function",
        check=hooks_of,
    )  # fmt: skip
    hook_snr: float = setting(8.0, doc="Candidates from here up are told to hooks, sigma", limits=(1.0, 1e6))
    hook_seconds: float = setting(10.0, doc="A hook that takes longer is ended, s", limits=(0.1, 600.0))
    hook_injections: bool = setting(False, doc="Whether injected pulses are told to hooks, too")
    allowed_folders: tuple[str, ...] = setting((), doc="Folders of files that clients may name, besides the results")
    verbose: bool = setting(False, doc="Whether every gulp is logged")

    # Accepted for old configurations; each has no meaning here, and docs/correlator.md says why.
    thread_dm: bool = setting(False, doc="Not needed: parts of the image are searched in parallel anyway")
    rejectnoiseoutliers: bool = setting(False, doc="Not needed: no single gulp decides the noise")
    toslack: bool = setting(False, doc="Not done here: a hook tells whom the site likes")
    pytorch_dedispersion: bool = setting(False, doc="Not needed: the search is in torch anyway")
    usejax: bool = setting(False, doc="Not needed: the search is in torch")
    initframes: bool = setting(False, doc="Not needed: the first gulp is marked as incomplete instead")
    initnoise: bool = setting(False, doc="Not needed: noise is taken from each gulp")

    @property
    def band(self) -> Band:
        """Raises BadValueError: as many frequencies as sub-bands."""
        if not self.frequencies_mhz:
            return Band.dsa110(self.nchans, self.sample_s)
        if len(self.frequencies_mhz) != self.nchans:
            raise BadValueError(f"frequencies_mhz has {len(self.frequencies_mhz)} of nchans = {self.nchans} sub-bands")
        return Band(self.frequencies_mhz, self.sample_s)

    @property
    def assembly(self) -> AssemblyPolicy:
        return AssemblyPolicy(
            wait_s=self.gulp_wait,
            open_gulps=self.open_gulps,
            duplicates="last" if self.duplicates == "last" else "first",
            late="drop" if self.late == "drop" else "refuse",
            when_full="refuse" if self.when_full == "refuse" else "drop_oldest",
            restart_s=self.restart,
        )

    @property
    def place(self) -> str:
        """Where the search runs."""
        return "cuda" if self.cuda and self.compute == "cpu" else self.compute

    def trials(self) -> Trials:
        """Raises ValueError: what a list must not be."""
        return Trials(self.dms or dm_trials(self.band, self.nsamps), self.widths)
