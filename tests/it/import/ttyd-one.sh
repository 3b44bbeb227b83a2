exec ttyd -W picocom --baud 9600 --parity e --databits 7 --flow h --lower-dtr /dev/ttyUSB3
