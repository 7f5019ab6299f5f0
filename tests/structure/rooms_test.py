"""Tests that rooms.py sees what it is there to see."""

import pathlib
import tempfile
import unittest

import rooms

CMAKE = """
function(clearframe_room name)
  add_library(clearframe_${name})
endfunction()
clearframe_room(core LIBRARIES fmt::fmt)
clearframe_room(gpu USES core  # and no other
  LIBRARIES Vulkan::Vulkan clearframe_shaders)
clearframe_room(nic USES core gpu)
add_executable(clearframe main.cpp)
target_link_libraries(clearframe PRIVATE clearframe_nic)
"""
GOOD = {
    "core/a.h": "#include <string>\n",
    "core/a.cpp": '#include "core/a.h"\n',
    "gpu/b.cpp": '#include "core/a.h"\n#include "shaders/x.h"\n#include <vulkan/vulkan_raii.hpp>\n',
    "nic/verbs/c.cpp": '#include "gpu/b.h"\n#include <infiniband/verbs.h>\n',
    "main.cpp": '#include "nic/c.h"\n',
}


class Rooms(unittest.TestCase):
    def violations(self, **changed):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"CMakeLists.txt": CMAKE, **GOOD, **changed.get("files", {})}.items():
                path = root / "app" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(rooms.violations(root))

    def test_rules_that_are_kept(self):
        self.assertEqual(self.violations(), [])

    def test_table(self):
        self.assertEqual(
            rooms.rooms_of(CMAKE),
            {"core": {"core"}, "gpu": {"core", "gpu", "shaders"}, "nic": {"core", "gpu", "nic"}, "": {"nic"}},
        )

    def test_each_broken_rule(self):
        for name, line in {
            "core/a.cpp": '#include "gpu/b.h"',
            "gpu/b.cpp": '  #  include "nic/c.h"',
            "nic/d.h": '#include "shaders/x.h"',
            "nic/e.h": "#include <vulkan/vulkan.h>",
            "core/f.hpp": '#include <vulkan/vulkan.h>',
            "nic/g.cpp": "#include <infiniband/verbs.h>",
            "nic/k.cpp": "#include <GLFW/glfw3.h>",
            "nic/l.cpp": "#include <imgui.h>",
            "nic/m.cpp": "#include <X11/Xlib.h>",
            "nic/h.cpp": '#include "h.h"',
            "nic/i.cpp": '#include "../gpu/b.h"',
            "main.cpp": '#include "core/a.h"',
            "new_room/j.cpp": "",
        }.items():
            with self.subTest(name):
                found = self.violations(files={name: line})
                self.assertEqual(len(found), 1, found)
                self.assertIn(name.split("/")[0], found[0])


if __name__ == "__main__":
    unittest.main()
