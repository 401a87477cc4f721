"""Programs in the stock Lua, with the libraries of this build: clients that are no services."""

import re
import shutil
import subprocess

from harness import BUILD, SANITIZERS, Process, Skip

_LUA = shutil.which("lua5.4") or shutil.which("lua")


class LuaProgram(Process):
    """A running Lua program. It finds the libraries in the folder that LUACLIB names."""

    def __init__(self, *words):
        if not _LUA:
            raise Skip("the Lua program is not installed: 3rd/deps test installs it")
        super().__init__(_LUA, *words, env=_environment())


def _environment():
    env = {"LUACLIB": f"{BUILD}/luaclib"}
    if SANITIZERS:
        # The program is not of this build, so it must be given what the libraries need. What it
        # leaks itself is not looked for.
        env["LD_PRELOAD"] = _sanitizer_libraries()
        env["ASAN_OPTIONS"] = "detect_leaks=0"
    return env


def _sanitizer_libraries():
    linked = subprocess.run(
        ["ldd", f"{BUILD}/skynet"], text=True, capture_output=True, check=True
    ).stdout
    found = re.findall(r"=> (\S+/lib(?:asan|tsan|ubsan)\S*)", linked)
    if not found:
        raise Skip("the sanitizer of this build is no library that Lua could be given")
    return " ".join(found)
