"""PageRank: which nodes of a network a random surfer visits most, and how that depends on the damping.

    x_i = d Σ_{j → i} x_j / outdegree(j) + d s / n + (1 − d) / n
    s   = Σ x_j over nodes without successors          (from there the surfer jumps anywhere)

The share s is an unknown of its own: written out, the jumps would fill the matrix of a sparse network.

Page, Brin, Motwani, Winograd 1999, "The PageRank citation ranking: bringing order to the web".
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import scipy.sparse as sp

import adjoint as adj


def surfing(graph: nx.Graph) -> sp.csr_array:
    """The matrix S of following a link: column j holds 1 / outdegree(j) at the successors of j."""
    A = nx.to_scipy_sparse_array(graph, weight=None, dtype=float)
    degree = A.sum(axis=1)
    return sp.csr_array((A / np.where(degree > 0, degree, 1.0)[:, None]).T)


def model(graph: nx.Graph | None = None, damping: float = 0.85) -> adj.Program:
    """The ranks of the nodes of a graph, in its order of nodes; default: Zachary's karate club."""
    S = surfing(nx.karate_club_graph() if graph is None else graph)
    n = S.shape[0]
    stuck = np.flatnonzero(S.sum(axis=0) == 0)

    m = adj.Program("pagerank")
    d = m.input("damping", damping)
    x = m.unknown("rank", guess=np.full(n, 1.0 / n))
    flow = d * (S @ x) + (1.0 - d) / n
    if stuck.size:
        s = m.unknown("stuck", guess=stuck.size / n)
        m.define(s, np.sum(x[stuck]))
        flow = flow + d * s / n
    m.define(x, flow)
    return m


def directory(nodes: int = 10_000, seed: int = 1) -> nx.DiGraph:
    """A made-up web: sites of 20 pages link among themselves and to near sites; some pages link nowhere."""
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    pages = np.flatnonzero(rng.random(nodes) > 0.05)
    inside = pages // 20 * 20 + rng.integers(0, 20, (6, pages.size))
    beyond = pages + rng.integers(-200, 201, (1, pages.size))
    for targets in (*inside, *beyond):
        links = np.column_stack([pages, targets % nodes])
        graph.add_edges_from(links[links[:, 0] != links[:, 1]].tolist())
    return graph


def main() -> None:
    karate = model().solve()
    slope = karate.jvp({"damping": 1.0}, of="rank")["rank"]
    print("karate club: the three highest ranks, and their change with the damping")
    for node in np.argsort(-karate["rank"])[:3]:
        print(f"  member {node}: rank {karate['rank'][node]:.9f}, d rank/d damping = {slope[node]: .9f}")

    web = model(directory()).solve()
    rank, slope = web["rank"], web.jvp({"damping": 1.0}, of="rank")["rank"]
    print(f"web of {rank.size} pages: ranks add up to {rank.sum():.12f}, dead ends hold {web['stuck']:.6f}")
    top = int(np.argmax(rank))
    print(f"  page {top}: rank {rank[top]:.9f}, d rank/d damping = {slope[top]: .9f}")


if __name__ == "__main__":
    main()
