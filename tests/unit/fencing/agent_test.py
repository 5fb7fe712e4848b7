#!/usr/bin/python3
"""fence_cfs_ipmi against a false ipmitool: what it reads, what it calls, how it ends. agent_test.py AGENT"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

AGENT = sys.argv.pop(1)
PASSWORD = 's3cret-of-the-bmc'
IPMITOOL = '''#!/usr/bin/python3
import json, os, sys, time
state = json.load(open(sys.argv[0] + '.state'))
with open(sys.argv[0] + '.calls', 'a') as log:
    log.write(json.dumps({'argv': sys.argv[1:], 'password': os.environ.get('IPMI_PASSWORD')}) + chr(10))
if state.get('hang'): time.sleep(60)
if sys.argv[sys.argv.index('-C') + 1] == '17' and not state.get('suite17'):
    sys.exit('Error in open session response message : invalid authentication algorithm')
if os.environ.get('IPMI_PASSWORD') != state['password']: sys.exit('Error: Unable to establish IPMI v2 / RMCP+ session')
word = sys.argv[-1]
if word == 'status':
    print('Chassis Power is ' + state['power'] if not state.get('garbage') else 'Chassis Power is maybe')
elif state.get('refuse') == word: sys.exit('Set Chassis Power Control failed')
else:
    if not state.get('stuck'): state['power'] = word
    json.dump(state, open(sys.argv[0] + '.state', 'w'))
    print('Chassis Power Control: ' + word)
'''


class AgentTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.tool = os.path.join(self.directory.name, 'ipmitool')
        with open(self.tool, 'w', encoding='utf-8') as file:
            file.write(IPMITOOL)
        os.chmod(self.tool, 0o755)
        self.file = os.path.join(self.directory.name, 'password')
        with open(self.file, 'w', encoding='utf-8') as file:
            file.write(PASSWORD + '\n')
        os.chmod(self.file, 0o600)
        self.state(power='on')

    def tearDown(self):
        self.directory.cleanup()

    def state(self, **members):
        with open(self.tool + '.state', 'w', encoding='utf-8') as file:
            json.dump(dict({'password': PASSWORD}, **members), file)

    def power(self):
        with open(self.tool + '.state', encoding='utf-8') as file:
            return json.load(file)['power']

    def calls(self):
        with open(self.tool + '.calls', encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def run_agent(self, action, extra='', base=None, patience=60):
        if base is None:
            base = f'ip=10.0.0.9\nusername=fence\npassword_file={self.file}\npower_timeout=1\nipmitool_timeout={patience}\n'
        text = f'{base}ipmitool_path={self.tool}\naction={action}\n{extra}'
        return subprocess.run([sys.executable, AGENT], input=text, text=True, capture_output=True, timeout=600, check=False)

    def test_status(self):
        self.assertEqual(self.run_agent('status').returncode, 0)
        self.state(power='off')
        self.assertEqual(self.run_agent('status').returncode, 2)
        self.state(power='off', garbage=True)
        self.assertEqual(self.run_agent('status').returncode, 1)
        self.state(power='off', password='other')
        self.assertEqual(self.run_agent('status').returncode, 1)

    def test_off_on_reboot(self):
        self.assertEqual(self.run_agent('off').returncode, 0)
        self.assertEqual(self.power(), 'off')
        self.assertEqual(self.run_agent('off').returncode, 0)
        self.assertEqual(self.run_agent('on').returncode, 0)
        self.assertEqual(self.power(), 'on')
        self.assertEqual(self.run_agent('REBOOT').returncode, 0)
        self.assertEqual(self.power(), 'on')

    def test_ok_without_effect_is_a_failure(self):
        self.state(power='on', stuck=True)
        done = self.run_agent('off')
        self.assertEqual(done.returncode, 1)
        self.assertIn('the power is not off', done.stderr)

    def test_silence_is_a_failure(self):
        self.state(power='on', hang=True)
        self.assertEqual(self.run_agent('off', patience=2).returncode, 1)

    def test_reboot_succeeds_when_off_is_sure(self):
        self.state(power='on', refuse='on')
        self.assertEqual(self.run_agent('reboot').returncode, 0)
        self.assertEqual(self.power(), 'off')
        self.state(power='on', refuse='off')
        self.assertEqual(self.run_agent('reboot').returncode, 1)

    def test_standard_input(self):
        """Unknown keys and comments are ignored, the last one wins, old names are known."""
        base = f'# a comment\nunknown=1\nip=wrong\nipaddr=10.0.0.9\nlogin=fence\npasswd={PASSWORD}\noption=off\n'
        self.assertEqual(self.run_agent('status', base=base).returncode, 0)
        self.assertIn('10.0.0.9', self.calls()[0]['argv'])

    def test_the_password_is_on_no_command_line(self):
        self.run_agent('off')
        self.assertEqual({call['password'] for call in self.calls()}, {PASSWORD})
        self.assertNotIn(PASSWORD, ' '.join(' '.join(call['argv']) for call in self.calls()))

    def test_cipher_suites(self):
        self.run_agent('status')
        self.assertEqual([call['argv'][call['argv'].index('-C') + 1] for call in self.calls()], ['17', '3'])
        self.state(power='on', suite17=True)
        self.run_agent('status')
        self.assertEqual(len(self.calls()), 3)
        self.assertEqual(self.run_agent('status', 'cipher=0\n').returncode, 1)
        self.assertEqual(len(self.calls()), 3)

    def test_what_is_refused(self):
        for extra in ('lanplus=0\n', 'method=cycle\n', 'username=\n', 'ip=\n', 'ipport=x\n', 'power_timeout=-1\n',
                      'password_file=/nonexistent\n', 'action=explode\n', 'password_file=\npassword=' + 21 * 'x' + '\n'):
            done = self.run_agent('status', extra)
            self.assertEqual(done.returncode, 1, extra)
            self.assertTrue(done.stderr.startswith('fence_cfs_ipmi: '), done.stderr)
        os.chmod(self.file, 0o644)
        self.assertIn('chmod 600', self.run_agent('status').stderr)

    def test_validate_all_needs_no_bmc(self):
        self.state(power='on', hang=True)
        self.assertEqual(self.run_agent('validate-all').returncode, 0)

    def test_metadata(self):
        done = subprocess.run([sys.executable, AGENT, '--action=metadata'], text=True, capture_output=True, check=True)
        document = xml.dom.minidom.parseString(done.stdout)
        actions = {each.getAttribute('name') for each in document.getElementsByTagName('action')}
        self.assertLessEqual({'off', 'on', 'reboot', 'status', 'monitor', 'metadata', 'validate-all'}, actions)
        parameters = {each.getAttribute('name') for each in document.getElementsByTagName('parameter')}
        self.assertLessEqual({'action', 'ip', 'username', 'password', 'password_file', 'lanplus'}, parameters)


if __name__ == '__main__':
    unittest.main()
