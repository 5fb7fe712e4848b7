"""Builds the programs of the release preset, without the tests, and shows how far it is."""
import os
import re
import subprocess


def build(tell, root):
    """True if it worked; else the end of the compiler's output was shown."""
    tell.chapter('Building')
    log = os.path.join(root, 'build/demo-build.log')
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, 'w', encoding='utf-8') as out:
        if subprocess.run(['cmake', '--preset', 'release'], cwd=root, stdout=out, stderr=out, check=False).returncode != 0:
            return show_failure(tell, log)
    with tell.bar('compiling') as bar, open(log, 'a', encoding='utf-8') as out:
        process = subprocess.Popen(['cmake', '--build', '--preset', 'release', '--target', 'programs'], cwd=root, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in process.stdout:
            out.write(line)
            step = re.match(r'\[(\d+)/(\d+)\]', line)
            if step:
                bar.update(int(step[1]) / int(step[2]), f'{step[1]} of {step[2]}')
    return True if process.wait() == 0 else show_failure(tell, log)


def show_failure(tell, log):
    with open(log, encoding='utf-8') as lines:
        for line in lines.read().splitlines()[-25:]:
            tell.say(line)
    tell.say(f'The build failed; all of it is in {log}.')
    return False
