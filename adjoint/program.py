"""The user's door: a program is built, looked at, solved and differentiated here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .analysis import BlockInfo, analyze
from .check import Report, report
from .equations import Equations
from .errors import AdjointError, ModelError, NameLookupError, closest
from .expr import Variable
from .function import Function, Shared
from .homotopy import solve_by_homotopy
from .lagrangian import Lagrangian, seeds_of
from .nonlinear import METHODS
from .plan import Plan
from .solution import Solution
from .solve import make_options, solve

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Program"]


class Program(Equations):
    """A model: named variables and named equations, solved and differentiated.

    Parameters
    ----------
    name : str
    backend : str, optional
        Who executes it: "numpy", or the default.
    linear_solver : str
        "auto", "dense", "superlu", "klu".

    >>> import numpy as np, adjoint as adj
    >>> m = adj.Program("two")
    >>> x = m.input("x", 1.0)
    >>> a, b = m.unknown("a"), m.unknown("b")
    >>> _ = m.define(a, 0.5 * b + x)            # a and b need each other: a cycle
    >>> _ = m.define(b, 0.1 * a**2)
    >>> sol = m.solve()
    >>> round(sol["a"], 10), round(sol.gradient("b", wrt="x"), 10)
    (1.0557280900, 0.2360679775)
    """

    def __init__(self, name: str = "program", backend: str | None = None, linear_solver: str = "auto") -> None:
        super().__init__(name)
        self.backend, self.linear_solver = backend, linear_solver
        self._plans: dict[Any, tuple[int, Plan]] = {}
        self._shared: WeakValueDictionary[Any, Shared] = WeakValueDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "backend": self.backend, "linear_solver": self.linear_solver}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.backend, self.linear_solver = state["backend"], state["linear_solver"]
        self._plans, self._shared = {}, WeakValueDictionary()

    def __repr__(self) -> str:
        return (
            f"<Program {self.name!r}: {len(self.inputs)} inputs, {len(self.unknowns)} unknowns, "
            f"{len(self.equations)} equations>"
        )

    def extended(self) -> Program:
        """A program that shares these variables and equations, to which more can be added without changing this one."""
        other = Program(self.name, self.backend, self.linear_solver)
        other.variables, other.equations = dict(self.variables), dict(self.equations)
        other.inputs, other.guesses, other.bounds = dict(self.inputs), dict(self.guesses), dict(self.bounds)
        other._outputs, other._shares = list(self._outputs), (self, *self._shares)
        return other

    # -- structure -------------------------------------------------------------------------------------------

    @classmethod
    def from_graph(cls, graph: nx.DiGraph, name: str = "program") -> Program:
        """A program from a ``networkx.DiGraph``.

        Node attributes: ``f`` (a callable on expressions) with ``args`` (ordered names of the predecessors it is
        called with; default: the predecessors in the graph's order) for explicit equations; ``value`` for
        inputs; ``guess`` where a cycle needs a start.

        >>> import networkx as nx, adjoint as adj
        >>> G = nx.DiGraph()
        >>> G.add_node("x", value=2.0)
        >>> G.add_node("y", f=lambda x: x**3, args=["x"])
        >>> G.add_edge("x", "y")
        >>> adj.Program.from_graph(G).solve().gradient("y", wrt="x")
        12.0
        """
        import networkx as nx  # takes a tenth of a second, and only graphs need it

        if not isinstance(graph, nx.DiGraph):
            raise ModelError(f"from_graph takes a networkx.DiGraph, got {type(graph).__name__}")
        m = cls(name)
        leaves: dict[Any, Variable] = {}
        parts = list(nx.strongly_connected_components(graph))
        cyclic = {n for part in parts for n in part if len(part) > 1 or graph.has_edge(n, n)}
        for node, data in graph.nodes(data=True):
            predecessors = list(graph.predecessors(node))
            if "f" in data:
                if node in cyclic or "guess" in data:
                    leaves[node] = m.unknown(str(node), data.get("guess"), data.get("shape"))
            elif predecessors:
                raise ModelError(
                    f"node {node!r} has predecessors {predecessors} but no f=: an equation needs f= and args=, "
                    "an input has no edges into it"
                )
            else:
                leaves[node] = m.input(str(node), data.get("value"), data.get("shape"))
        place = {n: i for i, part in enumerate(parts) for n in part}
        order = list(nx.topological_sort(nx.condensation(graph, parts)))
        rank = {i: k for k, i in enumerate(order)}
        for node in sorted((n for n, d in graph.nodes(data=True) if "f" in d), key=lambda n: rank[place[n]]):
            expr = _node_expression(graph, node, leaves)
            leaves[node] = m.define(leaves.get(node, str(node)), expr)
        return m

    @property
    def graph(self) -> nx.DiGraph:
        """The program as a new ``networkx.DiGraph``: nodes variables, edges z_j → z_i where z_i's equation uses z_j.

        An implicit equation is drawn into the unknown that it is matched to. Nodes carry ``kind`` ("input" or
        "unknown"), ``shape``, and ``equation`` (its name).
        """
        import networkx as nx

        graph = nx.DiGraph(name=self.name)
        owner = analyze(self).owner if any(e.target is None for e in self.equations.values()) else None
        for v in self.variables.values():
            graph.add_node(v.name, kind="input" if v in self.inputs else "unknown", shape=v.shape)
        for v in self.unknowns:
            equation = self.equations.get(v.name) if owner is None else owner.get(v)
            if equation is not None:
                graph.nodes[v.name]["equation"] = equation.name
                graph.add_edges_from((u.name, v.name) for u in equation.variables if u is not v or equation.target is v)
                if equation.target is not None and equation.target is not v:
                    graph.add_edge(equation.target.name, v.name)
        return graph

    def plan(self, given: Iterable[str | Variable] = ()) -> Plan:
        """The blocks and their compiled functions; ``given`` unknowns count as inputs."""
        variables = tuple(self[g] if isinstance(g, str) else g for g in given) if given else ()
        known = self._plans.get(variables)
        if known is None or known[0] != self.version:
            known = self._plans[variables] = self.version, Plan(self, variables, self.backend, self.linear_solver)
        return known[1]

    def blocks(self) -> list[BlockInfo]:
        """The block triangular form: what is solved in which order."""
        return list(self.plan().analysis.blocks)

    def check(self) -> Report:
        """A structural report, before any number: sizes, blocks, singular parts, unused inputs."""
        return report(self)

    # -- solving -----------------------------------------------------------------------------------------------

    def solve(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        start: Any = None,
        method: str | Mapping[str, str] = "auto",
        tol: float = 1e-10,
        max_iterations: int = 200,
        homotopy: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Solution:
        """Solve all equations at the given inputs; verify; or raise.

        Parameters
        ----------
        values, **inputs : by name
            Inputs that differ from their defaults. (An input named as an option below goes into ``values``.)
        start : Solution or dict, optional
            Where cycles start instead of at the guesses: a previous solution (warm start), or values by name.
        method : str or dict
            For all cycles, or by name of a block or of an unknown in it: "auto" (Newton with a fallback chain),
            "newton", "newton-natural", "trust-region", "pseudo-transient", "homotopy", "fixed-point", "aitken",
            "anderson", "broyden", "bracketing", "newton-krylov"; "tearing" solves for a few tear variables,
            evaluates the others, and verifies the whole.
        tol : float
            An equation is satisfied when its residual is below ``tol`` times the natural size of its terms.
        max_iterations : int
            For each method and cycle.
        homotopy : dict, optional
            Values of inputs at which the program is easy to solve: the solve follows the solution from there.

        Returns
        -------
        Solution

        Raises
        ------
        StructureError
            The equations cannot determine the unknowns.
        ConvergenceError
            A cycle did not converge.
        EvaluationError
            An explicit equation gives NaN or infinity.
        """
        if values is not None:
            _require_mapping("solve()", values)
        if homotopy is not None:
            _require_mapping("homotopy=", homotopy)
        plan = self.plan()
        given = {**values, **inputs} if values else inputs
        options = make_options(tol, max_iterations)
        methods = self._methods(method)
        at = self._start(start)
        if homotopy is not None:
            return Solution(solve_by_homotopy(plan, given, homotopy, options, methods, at))
        return Solution(solve(plan, given, options, methods, at))

    def _methods(self, method: str | Mapping[str, str]) -> Mapping[str, str] | None:
        if method == "auto":
            return None
        if not isinstance(method, (str, Mapping)):
            raise ModelError(f"method= is a name, or a dict of names by block or unknown, got {method!r:.60}")
        table = {"": method} if isinstance(method, str) else dict(method)
        for key, name in table.items():
            if name not in METHODS and name != "tearing":
                raise ModelError(closest(name, [*METHODS, "tearing"], "method for cycles"))
            if key and key not in self.variables and key not in {c.name for c in self.plan().cycles}:
                names = [*(c.name for c in self.plan().cycles), *(v.name for v in self.unknowns)]
                raise NameLookupError(closest(key, names, "unknown or block"))
        return table

    def _start(self, start: Any) -> dict[Variable, Any] | None:
        if start is None:
            return None
        if not isinstance(start, Mapping):
            raise ModelError(f"start is a Solution or a dict of values by name, not {type(start).__name__}")
        from_names = {}
        for name in start:
            v = self.variables.get(name)
            if v is None and isinstance(start, Solution):
                continue  # of a program with more variables, such as a problem's
            if v is None:
                raise NameLookupError(closest(name, self.variables, "variable"))
            from_names[v] = _start_value(start[name], v)
        return from_names

    # -- derivatives -------------------------------------------------------------------------------------------

    def lagrangian(self, of: str | Mapping[str, Any]) -> Lagrangian:
        """The Lagrangian of a scalar variable or a weighted sum of variables, at any point."""
        weights = {v.name: w for v, w in seeds_of(self, of).items()}
        return Lagrangian(self.plan(), weights)

    def function(
        self, of: str | Sequence[str], wrt: Sequence[str] | str | None = None, sparse: bool = False, **options: Any
    ) -> Function:
        """A function of a flat vector, with derivatives, for SciPy and other routines.

        Parameters
        ----------
        of : name or list of names
            Outputs: a float for one scalar, else flattened and concatenated.
        wrt : name or list of names
            Inputs that the vector holds; default all.
        sparse : bool
            ``jac`` and ``hess`` as ``scipy.sparse``.
        **options
            ``tol``, ``max_iterations``, ``method``, and values of the other inputs by name in ``values={...}``.

        >>> import scipy.optimize, adjoint as adj
        >>> m = adj.Program()
        >>> x = m.input("x", [0.0, 0.0])
        >>> f = m.define("f", (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
        >>> fun = m.function("f", wrt=["x"])
        >>> scipy.optimize.minimize(fun, fun.x0, jac=fun.jac, method="BFGS").x.round(4).tolist()
        [1.0, 1.0]
        """
        return Function(self, of, wrt, sparse, **options)


def _require_mapping(label: str, table: Any) -> None:
    if not isinstance(table, Mapping):
        raise ModelError(f"{label} takes a dict of input values by name, got {table!r:.60}")


def _start_value(value: Any, v: Variable) -> Any:
    from .equations import number

    return number(value, f"start value of {v.name!r}", v.shape)


def _node_expression(graph: nx.DiGraph, node: Any, leaves: Mapping[Any, Variable]) -> Any:
    """f(*args) of a node."""
    data = graph.nodes[node]
    args = list(data.get("args", graph.predecessors(node)))
    if set(args) != set(graph.predecessors(node)):
        raise ModelError(f"node {node!r}: args={args} are not its predecessors {list(graph.predecessors(node))}")
    if not callable(data["f"]):
        raise ModelError(f"node {node!r}: f={data['f']!r:.40} is not a function")
    try:
        return data["f"](*(leaves[a] for a in args))
    except TypeError as error:
        if isinstance(error, AdjointError):
            raise
        raise ModelError(f"node {node!r}: f cannot be called with {args}: {error}") from None
