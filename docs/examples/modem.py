# Sends AT to the demo's modem, then reads registers of its PLC. Needs: pip install websockets
import struct
from websockets.sync.client import connect

GATEWAY = "ws://127.0.0.1:8080"

with connect(f"{GATEWAY}/ws/modem") as modem:
    modem.send(b"AT\r")
    answer = b""
    while not answer.endswith(b"OK\r\n"):
        answer += modem.recv(timeout=5)
    print("modem:", answer.decode().split())

with connect(f"{GATEWAY}/ws/plc") as plc:
    plc.send(bytes.fromhex("0001 0000 0006 01 03 0000 0003"))  # Modbus TCP: read three registers from 0
    answer = b""
    while len(answer) < 15:  # what a device sends has no message borders
        answer += plc.recv(timeout=5)
    seconds, tenths, setpoint = struct.unpack(">9x3H", answer)
    print(f"plc: up {seconds} s, {tenths / 10} degrees, setpoint {setpoint}")
