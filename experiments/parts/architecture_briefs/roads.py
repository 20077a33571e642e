"""Brief C: travel times on a real road network under simulated traffic."""

from dataclasses import replace

from judged import Judged
from minima.claims.claim import SIGN
from minima.claims.seeded import Judge
from minima.sweep.config import TaskConfig
from minima.tasks.datasets import roads as network
from parts.architecture_briefs.brief import Brief, Scores, difference
from parts.architecture_briefs.config import BRIEFS, ROADS, BriefsConfig

LEAD, LEAST_LEAD = 5.0, 1.0  # points of variance by which edges should help, and the least
LINEAR, MLP, GNN = "linear, crossings", "MLP on crossings", "graph network"
REWIRED = "graph network, rewired map"
LAYERS = 5  # of the graph network: a crossing hears of others so many roads away


def brief(config: BriefsConfig) -> Brief:
    """Candidates that know crossings by their number, and one that knows who is next to whom."""
    roads = config.source(ROADS)
    graph = TaskConfig(
        dataset=roads, model="gnn", width=config.runs.width, depth=LAYERS, loss="squared_error"
    )
    flat = replace(graph, model="linear", width=0, depth=0)
    tasks = {
        LINEAR: flat,
        MLP: replace(flat, model="mlp"),
        GNN: graph,
        REWIRED: replace(graph, dataset=config.source(ROADS, network.REWIRED)),
    }
    return Brief(
        ROADS,
        BRIEFS[ROADS],
        "a graph: crossings joined by roads, where what matters of a crossing is how near others "
        "are by road.",
        "% of variance explained",
        {
            name: config.sweep(
                task, config.runs.roads_steps, batch_size=config.runs.roads_batch_size
            )
            for name, task in tasks.items()
        },
        _judge,
        "a map that is wrong (see the rewired row), or states enough for an MLP to learn the map "
        "by heart.",
        excluded=(REWIRED,),
    )


def _judge(judge: Judge, scores: Scores) -> list[Judged]:
    fixed = (SIGN, LEAD, LEAST_LEAD, "points")
    return [
        judge.over_seeds(
            "C: the graph network beats the MLP",
            "a network that is told the roads beats an MLP that has to find them",
            fixed,
            difference(scores, GNN, MLP),
        ),
        judge.over_seeds(
            "C: by its edges",
            "on a map whose roads lead elsewhere it loses that lead: true less rewired",
            fixed,
            difference(scores, GNN, REWIRED),
        ),
        judge.over_seeds(
            "C: rewired, no better than the MLP",
            "with the wrong map the graph network is no better than the MLP: MLP less rewired",
            (SIGN, LEAD, LEAST_LEAD, "points"),
            difference(scores, MLP, REWIRED),
        ),
    ]
