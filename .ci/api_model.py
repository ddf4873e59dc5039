"""What rustdoc's JSON says of a crate's public surface: `Crate` reads it, `Surface` is the tree of
public paths below a root, with re-exports followed from crate to crate. Knows no policy."""

import json

# Kinds that have a path of their own and that a user can name.
KINDS = {
    "module", "struct", "enum", "union", "trait", "function", "type_alias", "constant", "static",
    "macro", "proc_macro", "trait_alias",
}


class Crate:
    def __init__(self, path):
        with open(path) as file:
            data = json.load(file)
        self.index = data["index"]
        self.paths = data["paths"]
        self.root = str(data["root"])
        self.name = self.index[self.root]["name"]
        self.by_path = {
            (tuple(entry["path"]), entry["kind"]): id
            for id, entry in self.paths.items() if entry["crate_id"] == 0
        }

    def path_of(self, id):
        """Where an item is defined, of this crate or another."""
        entry = self.paths.get(str(id))
        return (tuple(entry["path"]), entry["kind"]) if entry else None


class Item:
    """A public item: the crate that defines it, and the entry there; or only where that is, if the
    crate is none of those that were read."""

    def __init__(self, crate, id, origin):
        self.crate, self.id, self.origin = crate, id, origin
        self.entry = crate.index[id] if crate else None
        self.kind = next(iter(self.entry["inner"])) if crate else origin[1]
        self.inner = self.entry["inner"][self.kind] if crate else None


class Surface:
    def __init__(self, crates, root):
        self.crates = {crate.name: crate for crate in crates}
        # Public paths, without the crate's name, of what can be named.
        self.items = {}
        # The shortest public path of what is defined somewhere.
        self.public = {}
        self.unstable = set()
        self.walk(self.crates[root], self.crates[root].root, "", False, set())

    def walk(self, crate, module, prefix, unstable, above):
        """Enters the items of a module, or of an enum whose variants are imported."""
        if (crate.name, module) in above:
            return
        above = above | {(crate.name, module)}
        for id in map(str, crate.index[module]["inner"].get("module", {"items": []})["items"]):
            entry = crate.index.get(id)
            if entry:
                self.enter(crate, id, entry, prefix, unstable, above)

    def enter(self, crate, id, entry, prefix, unstable, above):
        unstable = unstable or is_unstable(entry)
        if "use" in entry["inner"]:
            use = entry["inner"]["use"]
            target = self.resolve(crate, use)
            if target is None:
                return
            if use["is_glob"]:
                if target.crate and target.kind == "module":
                    self.walk(target.crate, target.id, prefix, unstable, above)
                return
            self.add(target, prefix + use["name"], unstable, above)
        elif entry["name"] and next(iter(entry["inner"])) in KINDS:
            self.add(Item(crate, id, crate.path_of(id)), prefix + entry["name"], unstable, above)

    def add(self, item, path, unstable, above):
        unstable = unstable or (item.entry is not None and is_unstable(item.entry))
        if item.kind == "module":
            self.items.setdefault((path, "module"), item)
            if item.crate:
                if unstable:
                    self.unstable.add((path, "module"))
                self.walk(item.crate, item.id, path + "::", unstable, above)
            return
        key = (path, space(item.kind))
        self.items.setdefault(key, item)
        if unstable:
            self.unstable.add(key)
        if item.origin:
            known = self.public.get(item.origin)
            better = known is None or (rank(path, unstable) < rank(known[0], known[1]))
            if better:
                self.public[item.origin] = (path, unstable)

    def resolve(self, crate, use):
        """The item that an import names, through all imports in between."""
        id = str(use["id"]) if use["id"] is not None else None
        if id in crate.index:
            entry = crate.index[id]
            if "use" in entry["inner"]:
                return self.resolve(crate, entry["inner"]["use"])
            return Item(crate, id, crate.path_of(id))
        origin = crate.path_of(id) if id else None
        if origin is None:
            return None
        other = self.crates.get(origin[0][0])
        if other and origin in other.by_path and other.by_path[origin] in other.index:
            return Item(other, other.by_path[origin], origin)
        return Item(None, None, origin)


def rank(path, unstable):
    """A stable path before an unstable one, the prelude last, a short one before a long one."""
    return (unstable, "prelude" in path, path.count("::"), path)


def space(kind):
    """The name space of a kind of item."""
    if kind in ("function", "constant", "static"):
        return "value"
    return "macro" if kind in ("macro", "proc_macro") else "type"


def attributes(entry):
    return [attr if isinstance(attr, str) else attr.get("other", "") for attr in entry["attrs"]]


def is_unstable(entry):
    return any("= Stability" in attr and "level: Unstable" in attr for attr in attributes(entry))


def is_const(entry):
    """Whether a function is `const` on the stable compiler."""
    unstable = any(
        "RustcConstStability" in attr and "level: Unstable" in attr for attr in attributes(entry)
    )
    return entry["inner"]["function"]["header"]["is_const"] and not unstable


def is_must_use(entry):
    return any(isinstance(attr, dict) and "must_use" in attr for attr in entry["attrs"])
