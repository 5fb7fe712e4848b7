"""nginx on b serves what a uploads."""
import hashlib
import time

from .common import expect, expect_safe, fresh_directory

CONFIGURATION = '''daemon off; pid /run/lab/nginx-acceptance.pid; error_log /run/lab/nginx-acceptance.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; open_file_cache max=1000; open_file_cache_valid 1s;
 client_body_temp_path /run/lab/nb; proxy_temp_path /run/lab/np; fastcgi_temp_path /run/lab/nf; uwsgi_temp_path /run/lab/nu; scgi_temp_path /run/lab/ns;
 server {{ listen 127.0.0.1:8088; root {root}; }} }}
'''


def check(lab, options):
    root = fresh_directory(lab, 'www')
    lab.run('b', 'sh', '-c', 'cat > /run/lab/nginx-acceptance.conf', input=CONFIGURATION.format(root=root))
    server = lab.popen('b', 'sh', '-c', 'exec nginx -c /run/lab/nginx-acceptance.conf')
    try:
        wait_for_server(lab)
        for number in range(options.uploads):
            text = f'{number} ' + 'page ' * (number * 37 % 5000)
            lab.run('a', 'sh', '-c', f'cat > {root}/page-{number}.part && mv {root}/page-{number}.part {root}/page-{number}.html', input=text)
            served = lab.output('b', 'curl', '-sf', f'http://127.0.0.1:8088/page-{number}.html')
            expect_safe(hashlib.sha256(served.encode()).digest() == hashlib.sha256(text.encode()).digest(),
                   f'page {number}: b serves {len(served)} bytes of {len(text)}')
    finally:
        lab.run('b', 'sh', '-c', 'kill $(cat /run/lab/nginx-acceptance.pid)', check=False)
        server.wait(timeout=300)
    return f'{options.uploads} pages uploaded on a, each served by b at once'


def wait_for_server(lab):
    until = time.monotonic() + 300
    while lab.run('b', 'curl', '-s', 'http://127.0.0.1:8088/', check=False).returncode != 0:
        expect(time.monotonic() < until, 'nginx on b does not start')
        time.sleep(0.1)
