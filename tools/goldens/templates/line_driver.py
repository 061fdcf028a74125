"""line_driver.py: talks to a program of the `template --lines` protocol (driver.c, the command)."""
import json
import subprocess


class Driver:
    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, line):
        self.p.stdin.write(json.dumps(line).encode() + b"\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline()
        if not answer:
            raise SystemExit(f"the program ended with {self.p.wait()} on {json.dumps(line)}")
        answer = json.loads(answer)
        if "error" in answer:
            return "error", answer["error"]["code"] + ": " + answer["error"]["message"]
        return "text", answer["text"]
