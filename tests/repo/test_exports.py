"""Every module says what it exports, and every package why it is shaped so."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import vpp_sim
from vpp_sim.registry import REGISTRIES, Registry

ROOT = Path(vpp_sim.__file__).parent
MODULES = sorted(
    ["vpp_sim", *(found.name for found in pkgutil.walk_packages([str(ROOT)], "vpp_sim."))],
)


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def constant(tree: ast.Module, name: str) -> object:
    """Return the literal assigned to `name` at the top of a module, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return ast.literal_eval(node.value)
    return None


def bound(tree: ast.Module) -> set[str]:
    """Return the names that the top level of a module binds."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)}
    return names


@pytest.mark.parametrize("module", MODULES)
def test_module_names_its_exports(module: str) -> None:
    path = source_of(module)
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), f"{module} does not say what it is for"
    if module.endswith("__main__"):
        return
    exported = constant(tree, "__all__")
    if path.name == "__init__.py" and exported is None and part_is_data(path.parent):
        return
    assert isinstance(exported, list | tuple), f"{module} has no __all__"
    assert len(set(exported)) == len(exported), f"{module} exports a name twice"
    children = {child.stem for child in path.parent.iterdir()} if path.name == "__init__.py" else set()
    missing = set(exported) - bound(tree) - children
    assert not missing, f"{module} exports {sorted(missing)}, which it does not have"


def part_is_data(folder: Path) -> bool:
    """Return whether a package holds nothing to export: only data, or only modules that are imported by their name."""
    return not any(child.suffix == ".py" and child.stem != "__init__" for child in folder.iterdir())


@pytest.mark.parametrize("module", [module for module in MODULES if source_of(module).name == "__init__.py"])
def test_package_says_why(module: str) -> None:
    text = ast.get_docstring(ast.parse(source_of(module).read_text("utf-8"))) or ""
    shortest = 80 if module.count(".") == 1 else 20
    assert len(text) >= shortest, f"{module}: a package says why it is shaped so, what was turned down, what follows"


def is_ours(target: str) -> bool:
    """Return whether a registered target is this package's own; others' packages have their own house rules."""
    return target.partition(":")[0].partition(".")[0] == "vpp_sim"


def test_the_rule_is_for_our_own_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "their_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vpp_sim.forecaster]\narima = their_plugin:Arima\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[object] = Registry("forecaster", {"lstm": "vpp_sim.forecasting.lstm:LstmForecaster"})
    assert {name: is_ours(registry.targets[name]) for name in ("arima", "lstm")} == {"arima": False, "lstm": True}
    assert not is_ours("vpp_sim_plugin:Arima")


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        pytest.param(registry, name, id=f"{registry.kind}: {name}")
        for registry in REGISTRIES
        for name in registry.names
        if is_ours(registry.targets[name])
    ],
)
def test_registered_name_imports(registry: Registry[object], name: str) -> None:
    target = registry.load(name)
    assert callable(target)
    module, _, attribute = registry.targets[name].partition(":")
    assert attribute in importlib.import_module(module).__all__
