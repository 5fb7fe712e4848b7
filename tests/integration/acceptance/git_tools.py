"""git clone and commits on a, git fsck and git log on b."""
from .common import ROOT, expect_safe, fresh_directory, look


def check(lab, options):
    path = fresh_directory(lab, 'git')
    clone = f'{path}/clone'
    safe = ['git', '-c', 'safe.directory=*']
    lab.run('a', *safe, 'clone', '-q', '--no-local', ROOT, clone)
    before = int(lab.output('b', *safe, '-C', clone, 'rev-list', '--count', 'HEAD'))
    commits = options.commits
    script = (f'cd {clone} && git config user.name n && git config user.email n@example.org && '
              f'for i in $(seq {commits}); do echo $i >> note && git add note && git commit -q -m "commit $i" || exit 1; done')
    lab.run('a', 'sh', '-c', script)
    look(lab, 'b', *safe, '-C', clone, 'fsck', '--full', '--strict')
    after = int(lab.output('b', *safe, '-C', clone, 'rev-list', '--count', 'HEAD'))
    expect_safe(after == before + commits, f'b sees {after} commits, not {before + commits}')
    status = lab.output('b', *safe, '-C', clone, 'status', '--porcelain')
    expect_safe(status == '', f'b sees changes: {status[:300]}')
    return f'clone of {before} commits and {commits} new ones on a; git fsck --full and git log clean on b'
