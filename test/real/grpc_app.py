"""A gRPC server of generic handlers: bytes in, bytes out, no generated code."""
from concurrent import futures

import grpc


def unary(request, context):
    context.set_trailing_metadata((("x-count", str(len(request))),))
    return b"got " + request


def both_ways(requests, context):
    for request in requests:
        yield b"got " + request


def gather(requests, context):
    return b"got " + b" ".join(requests)


def failing(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/test.Service/Unary": grpc.unary_unary_rpc_method_handler(unary),
            "/test.Service/BothWays": grpc.stream_stream_rpc_method_handler(both_ways),
            "/test.Service/Gather": grpc.stream_unary_rpc_method_handler(gather),
            "/test.Service/Failing": grpc.unary_unary_rpc_method_handler(failing),
        }.get(details.method)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers((Service(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on {port}", flush=True)
server.wait_for_termination()
