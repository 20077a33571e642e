"""What a benchmark is: a file in rows/ holds one or more of these in `ROWS`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """A command that prints one JSON line with `seconds`, and what it did in them.

    Attributes:
      name: for people.
      command: arguments of a Python, from the repository's root; {data} is the row's data file,
        {folder} an empty folder.
      peer: runs in the peers' environment instead of ours.
      cores: of the machine it may use; 0 for all.
      variables: of its environment, as name=value.
    """

    name: str
    command: tuple[str, ...]
    peer: bool = False
    cores: int = 0
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """Ours against a peer, or against a bound.

    Attributes:
      name: what `make benchmark ROWS=name` takes.
      title: what is measured.
      ours: our side.
      peers: sides of which the fastest in a first round is raced; none where a bound is held.
      wanted: the least ratio of the peer's figure to ours; without peers, the largest figure.
      per: what the figure is seconds of: a key of the sides' JSON, such as "examples", or "" for
        the seconds as they are.
      whole: time the command from start to end instead of believing its `seconds`.
      data: the workload whose data the sides read, or "".
      flops: per unit of `per`, where the share of the machine's peak says something.
      share: the least share of that peak wanted; 0 where nothing is asked.
    """

    name: str
    title: str
    ours: Side
    peers: tuple[Side, ...] = ()
    wanted: float = 1.0
    per: str = ""
    whole: bool = False
    data: str = ""
    flops: int = 0
    share: float = 0.0
