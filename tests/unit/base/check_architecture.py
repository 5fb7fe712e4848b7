#!/usr/bin/python3
"""Fails when a file includes what its module or layer must not know (docs/ARCHITECTURE.md, "Direction")."""
import pathlib
import re
import sys

MODULES = {
    'base': set(),
    'fencing': {'base'},
    'blockrep': {'base'},
    'dlm': {'base'},
    'clusterfs': {'base', 'dlm'},
    'tools': {'base', 'fencing', 'blockrep', 'dlm', 'clusterfs'},
}
# A layer may include itself and what stands here, inside its own module.
LAYERS = {'format': set(), 'core': {'format'}, 'driver': {'core', 'format'}}
# What a core or a format may include of the system: nothing that does I/O, waits, or reads a clock.
PURE_SYSTEM = re.compile(
    r'<(boost/|libaio|sys/|unistd|fcntl|pthread|thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|'
    r'barrier|stop_token|atomic|chrono|ctime|time\.h|random|iostream|fstream|filesystem|cstdio|stdio|fuse|corosync|'
    r'openssl|spdlog|netinet|arpa|poll|signal|csignal|linux/|uuid|blkid)')
INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")')


def problems_of(path, text):
    """Yields (line number, what is wrong) for one source file; path is relative to the top, with slashes."""
    parts = path.split('/')
    module = parts[0]
    if module not in MODULES:
        return
    layer = parts[1] if len(parts) > 2 else ''
    pure = layer in ('core', 'format') or (module == 'base' and layer != 'io')
    for number, line in enumerate(text.split('\n'), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(1)
        if name.startswith('<'):
            if pure and PURE_SYSTEM.match(name) and path not in ('base/ensure.cc', 'base/json_writer.cc'):
                yield number, f'{name} in a pure layer'
            continue
        target = name.strip('"').split('/')
        if target[0] in MODULES and target[0] != module and target[0] not in MODULES[module]:
            yield number, f'{module} must not know {target[0]}'
        if pure and len(target) > 2 and target[1] in ('driver', 'io'):
            yield number, f'a pure layer must not know {"/".join(target[:2])}'
        if target[0] == module and layer in LAYERS and len(target) > 2 and target[1] in LAYERS:
            if target[1] != layer and target[1] not in LAYERS[layer]:
                yield number, f'{layer} must not know {target[1]}'


def self_test():
    bad = [('dlm/core/a.cc', '#include "blockrep/core/x.hh"'), ('base/x.hh', '#include "dlm/core/x.hh"'),
           ('dlm/core/a.cc', '#include <thread>'), ('dlm/core/a.cc', '#include "dlm/driver/x.hh"'),
           ('dlm/format/a.cc', '#include "dlm/core/x.hh"'), ('dlm/core/a.cc', '#include "base/io/x.hh"'),
           ('base/a.hh', '#include <boost/asio.hpp>'), ('dlm/core/a.cc', '#  include <sys/socket.h>')]
    good = [('clusterfs/core/a.cc', '#include "dlm/core/x.hh"'), ('dlm/driver/a.cc', '#include <thread>'),
            ('base/io/a.cc', '#include <boost/asio.hpp>'), ('tools/a.cc', '#include "dlm/driver/x.hh"'),
            ('tests/a.cc', '#include "dlm/driver/x.hh"'), ('dlm/core/a.cc', '#include "dlm/format/x.hh"')]
    missed = [case for case in bad if not list(problems_of(*case))]
    wrong = [case for case in good if list(problems_of(*case))]
    for case in missed + wrong:
        print('self-test failed for', case)
    return 1 if missed or wrong else 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    top = pathlib.Path(sys.argv[1])
    count = 0
    checked = 0
    for module in MODULES:
        for path in sorted((top / module).rglob('*')):
            if path.suffix not in ('.hh', '.cc'):
                continue
            checked += 1
            relative = path.relative_to(top).as_posix()
            for number, problem in problems_of(relative, path.read_text(errors='replace')):
                print(f'{relative}:{number}: {problem}')
                count += 1
    print(f'{checked} files checked, {count} problems')
    return 1 if count or checked == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
