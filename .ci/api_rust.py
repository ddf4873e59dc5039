"""Rust text from rustdoc's JSON: types, bounds and signatures, with every name given by its public
path in std. Lifetimes that a signature leaves out are given names, so that it can stand alone."""

# The modules of `std::os` that Linux has.
SYSTEMS = ("fd", "linux", "raw", "unix")


class Text:
    """Renders items of one crate of a surface."""

    def __init__(self, surface, crate):
        self.surface, self.crate = surface, crate

    def path(self, id, written):
        """The public path of what an id names, from the crate's root on; `None` if it has none."""
        origin = self.crate.path_of(id)
        known = self.surface.public.get(origin) if origin else None
        if known:
            # rustdoc sees all systems at once.
            elsewhere = known[0].startswith("os::") and known[0].split("::")[1] not in SYSTEMS
            return None if known[1] or elsewhere else known[0]
        # What is in a module that std takes over as it is: public there, wherever it is defined.
        if origin and origin[0][0] in ("core", "alloc"):
            return f"{origin[0][1]}::{origin[0][-1]}"
        return None


class Unnameable(Exception):
    """Something without a stable public name is part of it."""


class Signature:
    """Renders one signature: knows what `Self` is, and the lifetimes that were left out."""

    def __init__(self, text, self_type=None):
        self.text, self.self_type = text, self_type
        self.elided, self.output_lifetime, self.is_output = [], None, False
        self.hole = None

    def lifetime(self):
        """A name for a lifetime that is left out."""
        if self.hole:
            return self.hole
        if self.is_output:
            return self.output_lifetime or "'static"
        self.elided.append(f"'e{len(self.elided)}")
        return self.elided[-1]

    def type(self, ty):
        kind, value = next(iter(ty.items()))
        return getattr(self, "type_" + kind)(value)

    def type_resolved_path(self, value):
        return self.named(value)

    def named(self, value):
        path = self.text.path(value["id"], value["path"])
        if path is None:
            raise Unnameable(value["path"])
        return name(path) + self.args(value["args"], value)

    def type_generic(self, value):
        return self.self_type if value == "Self" and self.self_type else value

    def type_primitive(self, value):
        return "!" if value == "never" else value

    def type_tuple(self, value):
        return "(" + "".join(self.type(ty) + ", " for ty in value).rstrip() + ")"

    def type_slice(self, value):
        return f"[{self.type(value)}]"

    def type_array(self, value):
        return f"[{self.type(value['type'])}; {value['len']}]"

    def type_infer(self, value):
        return "_"

    def type_impl_trait(self, value):
        return "impl " + self.bounds(value)

    def type_raw_pointer(self, value):
        return ("*mut " if value["is_mutable"] else "*const ") + self.type(value["type"])

    def type_borrowed_ref(self, value):
        lifetime = value["lifetime"]
        if lifetime in (None, "'_"):
            lifetime = self.lifetime()
        mutable = "mut " if value["is_mutable"] else ""
        return f"&{lifetime} {mutable}{self.type(value['type'])}"

    def type_qualified_path(self, value):
        own = self.type(value["self_type"])
        trait = value["trait"]
        if trait and trait["path"]:
            return f"<{own} as {self.named(trait)}>::{value['name']}"
        return f"{own}::{value['name']}"

    def type_function_pointer(self, value):
        self.hole, hole = "'_", self.hole
        inputs = ", ".join(self.type(ty) for _, ty in value["sig"]["inputs"])
        output = value["sig"]["output"]
        output = f" -> {self.type(output)}" if output else ""
        self.hole = hole
        return f"{higher(value['generic_params'])}fn({inputs}){output}"

    def type_dyn_trait(self, value):
        parts = [higher(t["generic_params"]) + self.named(t["trait"]) for t in value["traits"]]
        parts += [value["lifetime"]] if value["lifetime"] else []
        return "(dyn " + " + ".join(parts) + ")"

    def args(self, args, owner=None):
        if not args:
            return ""
        if "parenthesized" in args:
            self.hole, hole = "'_", self.hole
            inputs = ", ".join(map(self.type, args["parenthesized"]["inputs"]))
            output = args["parenthesized"]["output"]
            output = f" -> {self.type(output)}" if output else ""
            self.hole = hole
            return f"({inputs}){output}"
        parts = [self.arg(arg) for arg in args["angle_bracketed"]["args"]]
        for constraint in args["angle_bracketed"]["constraints"]:
            binding = constraint["binding"]
            if "equality" in binding:
                parts.append(f"{constraint['name']} = {self.type(binding['equality']['type'])}")
            else:
                parts.append(f"{constraint['name']}: {self.bounds(binding['constraint'])}")
        return f"<{', '.join(parts)}>" if parts else ""

    def arg(self, arg):
        if arg == "infer":
            return "_"
        if "lifetime" in arg:
            return self.lifetime() if arg["lifetime"] == "'_" else arg["lifetime"]
        return self.type(arg["type"]) if "type" in arg else arg["const"]["expr"]

    def bounds(self, bounds):
        return " + ".join(filter(None, map(self.bound, bounds)))

    def bound(self, bound):
        if "outlives" in bound:
            return bound["outlives"]
        if "use" in bound:
            return ""
        bound = bound["trait_bound"]
        maybe = "?" if bound["modifier"] == "maybe" else ""
        self.hole, hole = "'_", self.hole
        text = higher(bound["generic_params"]) + maybe + self.named(bound["trait"])
        self.hole = hole
        # What only exists while a feature is unstable.
        return "" if text.endswith(("Destruct", "MetaSized")) else text

    def params(self, generics):
        """The parameters in the order in which they are declared, each with its bounds."""
        texts = []
        for param in generics["params"]:
            kind = param["kind"]
            if "lifetime" in kind:
                outlives = " + ".join(kind["lifetime"]["outlives"])
                texts.append(param["name"] + (f": {outlives}" if outlives else ""))
            elif "type" in kind and not kind["type"]["is_synthetic"]:
                bounds = self.bounds(kind["type"]["bounds"])
                texts.append(param["name"] + (f": {bounds}" if bounds else ""))
            elif "const" in kind:
                texts.append(f"const {param['name']}: {self.type(kind['const']['type'])}")
        return texts

    def predicates(self, generics):
        texts = []
        for predicate in generics["where_predicates"]:
            kind, value = next(iter(predicate.items()))
            if kind == "bound_predicate":
                own = higher(value["generic_params"]) + self.type(value["type"])
                bounds = self.bounds(value["bounds"])
                texts += [f"{own}: {bounds}"] if bounds else []
            elif kind == "lifetime_predicate":
                texts.append(f"{value['lifetime']}: {' + '.join(value['outlives'])}")
        return texts


def higher(params):
    """`for<'a>`, where there are such."""
    names = ", ".join(param["name"] for param in params)
    return f"for<{names}> " if names else ""


# What a world imports by these names: std's own modules, or ours.
MIRRORED = ("fs::", "io::", "net::", "process::", "sync::", "thread::", "os::linux::", "os::unix::")


def name(path):
    """How the text names a public path of std."""
    if path.startswith("prelude::"):
        return path.rpartition("::")[2]
    if path.startswith(MIRRORED) and not path.startswith("os::unix::io"):
        return path
    return "::std::" + path
