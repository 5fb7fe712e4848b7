"""An SQLite database written by turns from both nodes, then from both at once; integrity_check ok."""
from .common import NODES, expect_safe, finish, fresh_directory, look


def insert(node, first, count):
    return ''.join(f"INSERT INTO visits VALUES({first + i}, '{node}', hex(randomblob(50)));\n" for i in range(count))


def check(lab, options):
    database = fresh_directory(lab, 'sqlite') + '/visits.db'
    sql = lambda node, text: lab.run(node, 'sqlite3', '-cmd', '.timeout 600000', database, input=text)
    sql('a', 'CREATE TABLE visits(id INTEGER PRIMARY KEY, node TEXT, data TEXT);')
    turns = options.turns
    for turn in range(turns):
        node = NODES[turn % 2]
        sql(node, 'BEGIN IMMEDIATE;\n' + insert(node, turn * 10, 10) + 'COMMIT;\n')
    base = turns * 10
    both = [(node, lab.popen(node, 'sh', '-c', f'sqlite3 -cmd ".timeout 600000" {database} <<\'END\'\n'
                             + insert(node, base + index * 1000, 50) + 'END'))
            for index, node in enumerate(NODES)]
    for node, process in both:
        finish(process, f'sqlite3 on {node}')
    for node in NODES:
        said = look(lab, node, 'sqlite3', database, 'PRAGMA integrity_check; SELECT count(*) FROM visits;').split()
        expect_safe(said == ['ok', str(base + 100)], f'sqlite on {node}: {said}')
    return f'{turns} transactions by turns and 100 from both at once; integrity_check ok on both, {base + 100} rows'
