"""A scenario's videos: sent as one multipart request (or announced for tus), played back in ranges."""

import re
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.access import principal_of
from fleet.api import tus
from fleet.api.files import Stored, file_answer
from fleet.api.json import JsonParser
from fleet.api.problems import ProblemSerializer, problem
from fleet.api.scenarios import ERRORS, WITHDRAWN, VideoSerializer, own_scenario, scenario_or_404
from fleet.models import Video
from fleet.recording import uploads
from fleet.recording.footage import SUFFIXES
from fleet.recording.scenarios import WithdrawnError

_UNFIT = re.compile(r"[^\w. -]")


class VideoToldSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(max_length=200)
    camera = serializers.CharField(max_length=80, default="main")
    sha256 = serializers.RegexField("^[0-9a-fA-F]{64}$", required=False, help_text="Checked when told.")


_REFUSALS: dict[int, Any] = {413: ProblemSerializer, 415: ProblemSerializer, 422: ProblemSerializer}


class VideosView(APIView):
    parser_classes = (MultiPartParser, JsonParser, tus.NoBodyParser)
    throttle_classes = (tus.UploadThrottle,)

    @extend_schema(
        summary="Send a camera's video",
        description="As `multipart/form-data`; or, to be able to resume after a break, with `Tus-Resumable: 1.0.0`, "
        "`Upload-Length` and `Upload-Metadata` (`filename`, `camera`, `sha256`), answered with the `Location` to "
        "PATCH. 201 when new, 200 when this camera has sent the same bytes before.",
        request={"multipart/form-data": VideoToldSerializer},
        responses={200: VideoSerializer, 201: VideoSerializer, **ERRORS, **_REFUSALS},
    )
    def post(self, request: Request, scenario: str) -> HttpResponseBase:
        found = own_scenario(request, scenario)
        if "Tus-Resumable" in request.headers:
            return tus.create(request, found)
        told = VideoToldSerializer(data=request.data)
        told.is_valid(raise_exception=True)
        file: UploadedFile[bytes] = told.validated_data["file"]
        about = uploads.Told(
            told.validated_data["camera"], file.name or "", told.validated_data.get("sha256", "").lower()
        )
        try:
            video, created = uploads.receive_whole(found, about, file, file.size or 0)  # type: ignore[arg-type]
        except uploads.TooLargeError as error:
            return problem(413, str(error))
        except uploads.RefusedError as error:
            return problem(422, str(error), [{"field": "file", "reason": str(error)}])
        except WithdrawnError:
            return problem(409, WITHDRAWN)
        answer = VideoSerializer(video, context={"scenario": found})
        return Response(answer.data, status=201 if created else 200)

    @extend_schema(exclude=True)
    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return tus.options()


class VideoFileView(APIView):
    """Only for members of the fleet: a car's token, which may fall into other hands, shows nobody its footage."""

    @extend_schema(
        summary="A video's bytes",
        description="Supports `Range` (one range), `If-Range`, `If-None-Match`. `?download=1`: as an attachment.",
        parameters=[
            OpenApiParameter("Range", str, OpenApiParameter.HEADER),
            OpenApiParameter("download", bool),
        ],
        responses={
            (200, "video/*"): OpenApiTypes.BINARY,
            (206, "video/*"): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="You have it."),
            401: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer, 416: ProblemSerializer,
        },
    )  # fmt: skip
    def get(self, request: Request, scenario: str, video: str) -> HttpResponseBase:
        found = scenario_or_404(request, scenario)
        if principal_of(request.user).device_id is not None:
            raise exceptions.PermissionDenied("Footage is shown to members of the fleet only.")
        file = get_object_or_404(Video, scenario=found, uid=video)
        return file_answer(request, _stored(file, request.query_params.get("download", "") in {"1", "true"}))


def _stored(video: Video, as_file: bool) -> Stored:
    name = _UNFIT.sub("_", video.filename or video.camera).rpartition(".")[0] or _UNFIT.sub("_", video.camera)
    return Stored(
        video.stored_as,
        video.size_bytes,
        f'"{video.sha256}"',
        name + SUFFIXES[video.content_type],
        video.content_type,
        inline=not as_file,
    )
