"""Checks that the rooms (folders of app/) keep to themselves: rooms.py REPOSITORY.

A room includes headers of its own and of the rooms that its line in app/CMakeLists.txt links,
always as "room/file.h". Some libraries' headers belong to certain folders alone.
"""

import pathlib
import re
import sys

GENERATED = "shaders"  # headers made by the build, for rooms that link clearframe_shaders
LIBRARY_HEADERS = [  # (what is included, the folders of app/ that may)
    (re.compile(r"vulkan/|vk_|vma/"), ("gpu", "ui")),
    (re.compile(r"GLFW/|imgui|X11/"), ("ui",)),
    (re.compile(r"infiniband/|rdma/"), ("nic/verbs",)),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def rooms_of(cmake):
    """What each room may include, by the lines `clearframe_room(NAME [USES …] [LIBRARIES …] [SLOW …])`."""
    text = re.sub(r"#.*", "", cmake)
    rooms = {}
    for words in re.findall(r"^\s*clearframe_room\(([^)]*)\)", text, re.MULTILINE):
        name, *rest = words.split()
        keyword, allowed = None, {name}
        for word in rest:
            if word in ("USES", "LIBRARIES", "SLOW"):
                keyword = word
            elif keyword == "USES":
                allowed.add(word)
            elif word == "clearframe_shaders":
                allowed.add(GENERATED)
        rooms[name] = allowed
    main = re.search(r"target_link_libraries\(clearframe PRIVATE([^)]*)\)", text)
    rooms[""] = {word.removeprefix("clearframe_") for word in main[1].split()} if main else set()
    return rooms


def violations(root):
    app = root / "app"
    rooms = rooms_of((app / "CMakeLists.txt").read_text())
    folders = {path.name for path in app.iterdir() if path.is_dir()}
    for name in sorted(folders ^ (rooms.keys() - {""})):
        yield f"app/{name}: every folder of app/ is a room of app/CMakeLists.txt, and the other way round"
    for path in sorted(app.rglob("*")):
        if path.suffix not in (".h", ".hpp", ".c", ".cpp"):
            continue
        parts = path.relative_to(app).parts
        room = parts[0] if len(parts) > 1 else ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            quote, header = found.groups()
            where = f"{path.relative_to(root)}:{number}: {header}"
            if quote == '"' and header.split("/")[0] not in rooms.get(room, set()):
                allowed = ", ".join(sorted(rooms.get(room, set()))) or "nothing"
                yield f'{where}: {room or "app/" + path.name} may include {allowed}'
            for pattern, owners in LIBRARY_HEADERS:
                folder = "/".join(parts[:-1]) + "/"
                if pattern.match(header) and not any(folder.startswith(o + "/") for o in owners):
                    yield f"{where}: only {' and '.join(owners)} may include it"


def main():
    found = list(violations(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "every room includes only what it links")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
